//! The miniature world: everyday objects drawn as pictograms, and questions about them.

pub mod picture;
