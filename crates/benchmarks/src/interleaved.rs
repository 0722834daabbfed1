//! Texts that say where their images stand.

use std::path::PathBuf;

use align::types::{Item, Message, Part, Role};

use crate::reader::asked;

/// An item whose text shows its images at `<image>`, one after the other, or at `<image 2>`, by their numbers. Images that
/// the text does not place come first.
///
/// Errors: what is wrong where the text places an image that is not there.
pub fn interleaved(id: String, text: &str, images: &[PathBuf]) -> Result<Item, String> {
    let (mut content, mut is_placed, mut n_plain) = (Vec::new(), vec![false; images.len()], 0);
    let (mut rest, mut before) = (text, String::new());
    while let Some((text, after)) = rest.split_once("<image") {
        before.push_str(text);
        let Some((number, after)) = after.split_once('>').filter(|(number, _)| is_number(number)) else {
            before.push_str("<image");
            rest = after;
            continue;
        };
        n_plain += usize::from(number.is_empty());
        let number = number.trim().parse().unwrap_or(n_plain);
        let image = images.get(number.wrapping_sub(1));
        let image = image.ok_or_else(|| format!("the text shows image {number}, and there are {}", images.len()))?;
        is_placed[number - 1] = true;
        push_text(&mut content, std::mem::take(&mut before));
        content.push(Part::image(image));
        rest = after;
    }
    push_text(&mut content, before + rest);
    let unplaced = images.iter().zip(is_placed).filter(|(_, is_placed)| !is_placed);
    content.splice(0..0, unplaced.map(|(image, _)| Part::image(image)));
    Ok(asked(id, vec![Message { role: Role::User, content }]))
}

fn is_number(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(' ').is_some_and(|number| number.parse::<usize>().is_ok())
}

fn push_text(content: &mut Vec<Part>, text: String) {
    if !text.is_empty() {
        content.push(Part::Text { text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_where_the_text_shows_them() {
        for (text, n_images, expected) in [
            ("see <image 2> and <image 1>.", 2, Ok("see [2] and [1].")),
            ("<image><image 9 or <image>", 2, Ok("[1]<image 9 or [2]")),
            ("no places", 2, Ok("[1][2]no places")),
            ("<image 2> twice <image 2>", 3, Ok("[1][3][2] twice [2]")),
            ("<image 3>", 2, Err("the text shows image 3, and there are 2")),
            ("<image 0>", 2, Err("the text shows image 0, and there are 2")),
        ] {
            let images: Vec<PathBuf> = (1..=n_images).map(|number| format!("[{number}]").into()).collect();
            let shown = interleaved("a".into(), text, &images).map(|item| {
                let parts = item.messages[0].content.iter().map(|part| match part {
                    Part::Image { image, .. } => image.display().to_string(),
                    Part::Text { text } => text.clone(),
                });
                parts.collect::<String>()
            });
            assert_eq!(shown, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
