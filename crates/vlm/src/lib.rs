//! Vision-language models on Burn: Hugging Face folders in; logits, gradients and samples out. Nothing of safety.
//!
//! Read in this order: a folder's `config`, its text (`tokenizer`, `chat_template`), its images (`image_processor`,
//! `resample`), both together (`processor`); then the network from the inside out, and its uses.
//!
//! Shapes are written with `b` batch, `t` token, `v` vocabulary, `d` hidden, `h` head, `p` patch, `r` LoRA rank.

pub mod cache;
pub mod device;
pub mod error;
mod json_file;
mod stored_file;

pub mod companions;
pub mod config;

pub mod chat_template;
pub mod tokenizer;

pub mod image_processor;
pub mod resample;

pub mod processor;

pub mod tensor_file;

pub mod parameter;
pub mod weights;

mod kernels;

pub mod linear;
pub mod lora;
pub mod norm;

pub mod rope;

mod attention;
pub mod text;

pub mod families;

pub mod batch;
pub mod model;

pub mod adapter;
pub mod optim;
pub mod scored_pass;
pub mod training;

pub mod generate;

pub mod inspection;
