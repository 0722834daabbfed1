//! The miniature world: pictograms, neutral questions about them, and rules that decide which combinations are
//! hazardous.
//!
//! In: a seed. Out: items with their pictures, labels and truth, and an exact judge. Two everyday objects and a verb
//! are hazardous exactly when a [`rules::Rule`] over their attributes says so, so that neither an image nor the text
//! alone decides: the setting of P1, small enough for one CPU. Nothing in it is operational; a rule is one line of
//! hazard.

pub mod attributes;
pub mod base;
pub mod gallery;
pub mod general;
pub mod items;
pub mod judge;
pub mod labels;
pub mod model;
pub mod painter;
pub mod parse;
pub mod pictogram;
pub mod questions;
pub mod rules;
pub mod scenario;
pub mod sight;
pub mod splits;
