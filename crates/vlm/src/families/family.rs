//! The interface to a family of models, and to its vision models.

use std::fmt::Debug;
use std::path::Path;

use burn::tensor::Tensor;

use crate::chat_template::ChatTemplate;
use crate::config::fields::ConfigFields;
use crate::config::text::FamilyConfig;
use crate::error::Error;
use crate::image_processor::ImageProcessor;
use crate::parameter::Parameters;
use crate::text::TextLayout;
use crate::weights::{FamilyKeys, WeightReader};

/// Reads a vision tower and its projector to the language model's width.
type ReadVision = fn(&ConfigFields, usize, &mut WeightReader) -> Result<Box<dyn VisionModel>, Error>;

/// A family of models.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name in documents and messages.
    pub name: &'static str,
    /// Its name in `config.json`.
    pub model_type: &'static str,
    /// The prefixes of its keys.
    pub keys: FamilyKeys,
    /// Whether tokens have positions in time, height and width (M-RoPE), or one position alone.
    pub has_mrope: bool,
    /// Reads `config.json`.
    ///
    /// Errors: `File` naming the field that is missing, of the wrong type, out of range or at odds with another.
    pub config: fn(&ConfigFields) -> Result<FamilyConfig, Error>,
    /// The checkpoint's names of the decoder's parts.
    ///
    /// Errors: as `config`.
    pub text_layout: fn(&ConfigFields) -> Result<&'static TextLayout, Error>,
    /// Reads the vision tower and the projector to the language model's width.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub vision: ReadVision,
    /// How dialogues become text, and images patches, by the model's folder.
    ///
    /// Errors: `Io` or `File` naming the file and key.
    pub processor_parts: fn(&Path, &ConfigFields) -> Result<ProcessorParts, Error>,
}

/// Vision tower and projector: images in, rows of the language model's width out.
pub trait VisionModel: Parameters + Debug + Send + Sync {
    /// Encodes the patches of images as image tokens.
    ///
    /// Shapes: `pixel_values` `[p, channels · frames · patch²]` as the processor writes them, `grids` one `[time,
    /// height, width]` in patches for each image → `[m, d]`, in the order of the image tokens of the prompt.
    ///
    /// Errors: `Input` when patches and grids disagree.
    fn forward(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        Ok(self.project(self.features(pixel_values, grids)?))
    }

    /// The first half of [`Self::forward`]: the vision tower alone.
    ///
    /// Shapes: → `[p', d_vision]`, an image's rows together.
    ///
    /// Errors: as [`Self::forward`].
    fn features(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error>;

    /// The second half: the projector alone. Shapes: `[p', d_vision]` → `[m, d]`.
    fn project(&self, features: Tensor<2>) -> Tensor<2>;

    /// The same with handles of its own; weights are shared.
    fn boxed(&self) -> Box<dyn VisionModel>;
}

impl Clone for Box<dyn VisionModel> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

/// What a processor is made of, beside its tokenizer.
#[derive(Debug)]
pub(crate) struct ProcessorParts {
    /// From messages to text.
    pub template: ChatTemplate,
    /// From images to patches.
    pub image_processor: Box<dyn ImageProcessor>,
    /// The token that the template writes once for each image.
    pub image_token: &'static str,
    /// The tokens before and after those of an image, where the template leaves them out.
    pub around_image: Option<[&'static str; 2]>,
    /// The placeholder of a video, where the family has one.
    pub video_token: Option<&'static str>,
    /// The token that closes a turn; none where the tokenizer's settings say which.
    pub end_token: Option<&'static str>,
}

/// Checks that there are as many patches as the grids say, each of as many values as the tower takes.
///
/// Errors: `Input` saying what was expected.
pub(super) fn check_patches(
    [n_patches, width]: [usize; 2],
    grids: &[[usize; 3]],
    expected_width: usize,
) -> Result<(), Error> {
    let expected: usize = grids.iter().map(|grid| grid.iter().product::<usize>()).sum();
    if (n_patches, width) == (expected, expected_width) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "pixel values: expected {expected} patches of {expected_width} values for grids {grids:?}, got {n_patches} of \
         {width}"
    )))
}
