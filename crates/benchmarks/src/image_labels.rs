//! Images with their numbers in words before them, as some authors show several images to InternVL.

use align::types::{Item, Part};

use crate::reader::Loaded;

impl Loaded {
    /// The same with `Image-1: ` and so on before the images of each item, and an empty line after each.
    #[must_use]
    pub fn with_labeled_images(&self) -> Self {
        Self { items: self.items.iter().map(labeled).collect(), ..self.clone() }
    }
}

fn labeled(item: &Item) -> Item {
    let mut item = item.clone();
    let mut n_images = 0;
    for message in &mut item.messages {
        let mut parts: Vec<Part> = Vec::new();
        let mut after_image = "";
        for part in std::mem::take(&mut message.content) {
            match part {
                Part::Text { text } => parts.push(Part::Text { text: format!("{after_image}{text}") }),
                Part::Image { .. } => {
                    n_images += 1;
                    parts.push(Part::Text { text: format!("{after_image}Image-{n_images}: ") });
                    parts.push(part);
                }
            }
            after_image = if matches!(parts.last(), Some(Part::Image { .. })) { "\n\n" } else { "" };
        }
        message.content = parts;
    }
    item
}
