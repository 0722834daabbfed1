//! Families of models: what one has of its own, and the list of those that are known.
//!
//! What families share (the decoder, rotary tables, kernels, weight files, sampling, LoRA) stands once, outside this
//! folder. Adding a family takes a module here and a line in `FAMILIES`.

pub mod internvl;
pub mod internvl_chat;
pub mod qwen2_5_vl;
pub mod qwen2_vl;

use std::fmt::Debug;
use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::chat_template::ChatTemplate;
use crate::config::{Config, Shape, Source};
use crate::error::Error;
use crate::image_processor::Pictures;
use crate::parameter::{Group, Parameters};
use crate::rope::Positions;
use crate::text::TextLayout;
use crate::weights::{Moved, WeightReader};

/// Every family.
static FAMILIES: [&dyn Family; 4] = [
    &qwen2_vl::Qwen2Vl,
    &qwen2_5_vl::Qwen25Vl,
    &internvl_chat::InternVlChat,
    &internvl::InternVl,
];

/// What a family has of its own.
pub(crate) trait Family: Debug + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// What `config.json` calls it.
    fn model_type(&self) -> &'static str;

    /// Reads the sizes from `config.json`.
    ///
    /// Errors: `File` naming the field that is missing, of the wrong type, out of range or at odds with another.
    fn shape(&self, source: &Source) -> Result<Shape, Error>;

    /// Modules that newer checkpoints name otherwise.
    fn moved(&self) -> &'static [Moved];

    /// The group that the parameter of a published key is trained with.
    fn group(&self, key: &str) -> Group;

    /// What the checkpoint calls the decoder's parts.
    fn text_layout(&self, config: &Config) -> Result<&'static TextLayout, Error>;

    /// Reads the vision tower and the projector.
    ///
    /// Errors: as [`WeightReader::parameter`].
    fn vision(
        &self,
        config: &Config,
        reader: &mut WeightReader,
        device: &Device,
    ) -> Result<Box<dyn VisionModel>, Error>;

    /// Where the tokens of a sequence stand.
    ///
    /// Errors: `Input` when image tokens and grids disagree.
    fn positions(&self, config: &Config, ids: &[u32], grids: &[[usize; 3]]) -> Result<Positions, Error>;

    /// How dialogues become text, and pictures patches.
    ///
    /// Errors: `Io` or `File` naming the file and key at fault.
    fn prompts(&self, folder: &Path) -> Result<Prompts, Error>;
}

/// The part of a model that sees: pictures in, rows of the language model's width out.
pub trait VisionModel: Parameters + Debug + Send + Sync {
    /// Turns the patches of pictures into image tokens.
    ///
    /// Shapes: `pixel_values` `[p, channels · frames · patch²]` as the processor writes them, `grids` one `[time, height,
    /// width]` in patches for each picture → `[m, d]`, in the order of the image tokens of the prompt.
    ///
    /// Errors: `Input` when patches and grids disagree.
    fn forward(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error>;

    /// The same with handles of its own; weights are shared.
    fn boxed(&self) -> Box<dyn VisionModel>;
}

impl Clone for Box<dyn VisionModel> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

/// What stands between dialogues and the model.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// From messages to text.
    pub template: ChatTemplate,
    /// From pictures to patches.
    pub pictures: Box<dyn Pictures>,
    /// The token that the template writes once for each picture.
    pub image_token: &'static str,
    /// The tokens that stand around those of a picture, where the template leaves them out.
    pub around_image: Option<[&'static str; 2]>,
    /// The same for films, where the family knows any.
    pub video_token: Option<&'static str>,
    /// The token that closes a turn; none where the tokenizer's settings say which.
    pub end_token: Option<&'static str>,
}

/// The family of a `model_type`.
pub(crate) fn family_of(model_type: &str) -> Option<&'static dyn Family> {
    FAMILIES.into_iter().find(|family| family.model_type() == model_type)
}

/// Every `model_type` that is known.
pub(crate) fn known_model_types() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type()).collect()
}
