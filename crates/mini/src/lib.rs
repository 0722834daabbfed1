//! The miniature world: pictograms, neutral questions about them, and rules that decide which combinations are
//! hazardous.
//!
//! In: a seed. Out: items with their images, labels and truth, and an exact judge. Two everyday objects and a verb
//! are hazardous exactly when a [`rules::Rule`] over their attributes says so, so that neither an image nor the text
//! alone decides: the setting of MIS, small enough for one CPU. Nothing in it is operational; a rule is one line of
//! hazard. The modules stand in the order in which they build on each other.

pub mod attributes;
pub mod pictogram;

pub mod rules;
pub mod scenario;

pub mod labels;
pub mod questions;

pub mod gallery;
pub mod general;

pub mod judge;
pub mod parse;

pub mod items;

pub mod base;
pub mod splits;

pub mod model;
pub mod painter;
pub mod perception;
