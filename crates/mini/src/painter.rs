//! The miniature world's painter: renders whatever object a prompt names.

use align::chat::ChatError;
use align::paint::{PaintModel, PaintRequest, Painting, Unpainted};
use align::seeds::derive_seed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::perception::Shown;
use crate::pictogram::{self, Color, ObjectKind, Style};

/// The word in a prompt that asks for a sketch, the world's other style.
const SKETCHED: &str = "photograph";
/// Share of images with a hazard sign, which makes what they are part of easy to see through.
const SIGN_SHARE: f64 = 0.2;
/// The smallest and largest side of an image, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 8..=4096;

/// Renders the object that a prompt names, by the seed alone: the same request gives the same bytes. A prompt that
/// speaks of a photograph is rendered as a sketch, so that it looks unlike the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct MiniPainter;

impl PaintModel for MiniPainter {
    fn name(&self) -> &'static str {
        "mini-painter"
    }

    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            on_painted(index, paint(&request).map_err(|reason| Unpainted { reason }));
        }
        Ok(())
    }
}

/// The requested image.
///
/// Errors: when the prompt names no object, or the size cannot be rendered.
pub fn paint(request: &PaintRequest) -> Result<Painting, String> {
    let object = object_in(&request.prompt)
        .ok_or_else(|| format!("expected an object of the miniature world, got {:?}", request.prompt))?;
    if !SIDES.contains(&request.size) {
        return Err(format!("expected a size of 8 to 4096 pixels, got {}", request.size));
    }
    let style = if request.prompt.contains(SKETCHED) { Style::Sketch } else { Style::Plain };
    let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(request.seed, &request.prompt, &[]));
    let color = Color::ALL[rng.random_range(0..Color::ALL.len())];
    let hazard_sign = rng.random_bool(SIGN_SHARE);
    let scene = pictogram::scene(&mut rng, object, 1, color, style, hazard_sign);
    let title = Shown::Object { object, hazard_sign }.title();
    Painting::new(pictogram::render(&scene, request.size).png_with_title(title.as_deref()))
}

/// The object that a text names, the longest name first: a hair dryer is no hair.
fn object_in(text: &str) -> Option<ObjectKind> {
    let text = format!(" {} ", text.replace(|letter: char| !letter.is_alphanumeric(), " "));
    ObjectKind::ALL
        .into_iter()
        .filter(|object| text.contains(&format!(" {} ", object.name())))
        .max_by_key(|object| object.name().len())
}
