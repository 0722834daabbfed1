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
use crate::config::fields::Fields;
use crate::config::{Config, Shape, Source};
use crate::error::Error;
use crate::image_processor::Pictures;
use crate::parameter::{Group, Parameters};
use crate::rope::Positions;
use crate::text::TextLayout;
use crate::weights::{Moved, WeightReader};

/// Every family.
static FAMILIES: [&dyn Family; 4] = [
    &qwen2_vl::QWEN2_VL,
    &qwen2_5_vl::QWEN2_5_VL,
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

    /// What the keys of the projector and of the vision tower begin with; the projector's may lie within the tower's.
    fn prefixes(&self) -> [&'static str; 2];

    /// The group that the parameter of a published key is trained with.
    fn group(&self, key: &str) -> Group {
        let [projector, vision] = self.prefixes();
        if key.starts_with(projector) {
            Group::Projector
        } else if key.starts_with(vision) {
            Group::Vision
        } else {
            Group::Language
        }
    }

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
    fn prompts(&self, folder: &Path, config: &Config) -> Result<Prompts, Error>;
}

/// The part of a model that sees: pictures in, rows of the language model's width out.
pub trait VisionModel: Parameters + Debug + Send + Sync {
    /// Turns the patches of pictures into image tokens.
    ///
    /// Shapes: `pixel_values` `[p, channels · frames · patch²]` as the processor writes them, `grids` one `[time,
    /// height, width]` in patches for each picture → `[m, d]`, in the order of the image tokens of the prompt.
    ///
    /// Errors: `Input` when patches and grids disagree.
    fn forward(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error>;

    /// The first half of [`Self::forward`]: what the tower alone makes of patches, for the projector to take.
    ///
    /// Shapes: → `[p', d_vision]`, a picture's rows together.
    ///
    /// Errors: as [`Self::forward`].
    fn see(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error>;

    /// The second half: the projector alone. Shapes: `[p', d_vision]` → `[m, d]`.
    fn project(&self, seen: Tensor<2>) -> Tensor<2>;

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

/// The family that a `config.json` names.
///
/// Errors: `File` naming the families that are known.
pub(crate) fn family_of(fields: &Fields) -> Result<&'static dyn Family, Error> {
    let known = FAMILIES.map(Family::model_type);
    let model_type = fields.position("model_type", &known)?;
    Ok(FAMILIES[model_type])
}

/// Checks that there are as many patches as the grids say, each of as many values as the tower takes.
///
/// Errors: `Input` saying what was expected.
fn check_patches([n_patches, width]: [usize; 2], grids: &[[usize; 3]], expected_width: usize) -> Result<(), Error> {
    let expected: usize = grids.iter().map(|grid| grid.iter().product::<usize>()).sum();
    if (n_patches, width) == (expected, expected_width) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "pixel values: expected {expected} patches of {expected_width} values for grids {grids:?}, got {n_patches} of \
         {width}"
    )))
}
