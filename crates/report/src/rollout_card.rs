//! One rollout on the page. What may describe harm is hidden at first: text in a closed fold, images blurred.

use std::path::Path;

use align::types::{Part, image_paths};
use maud::{Markup, html};

use crate::contents::ShownRollout;
use crate::html_table::table;
use crate::quotes::{quote, response};
use crate::{images, rollout_text};

/// The card of a rollout. `index` tells its controls apart from those of other cards.
pub fn card(shown: &ShownRollout, folder: &Path, index: usize) -> Markup {
    let record = &shown.record;
    let is_veiled = rollout_text::is_veiled(record);
    html! {
        article.rollout {
            header {
                h3 { (rollout_text::event_label(record)) }
                p.facts { code { (record.item_id) } " · " (rollout_text::facts(&shown.run, record)) }
            }
            div.columns {
                div {
                    (image_row(shown, folder, index, is_veiled))
                    details class=[is_veiled.then_some("veil")] open[!is_veiled] {
                        summary { @if is_veiled { "Show the text, which may describe a hazard" } @else { "Text" } }
                        (texts(shown))
                    }
                }
                @if let Some(verdict) = rollout_text::verdict_table(record) { (table(&verdict)) }
            }
        }
    }
}

fn image_row(shown: &ShownRollout, folder: &Path, index: usize, is_veiled: bool) -> Markup {
    let control = format!("unblur-{index}");
    let paths: Vec<&Path> = image_paths(&shown.record.messages).collect();
    html! {
        div.images {
            @if is_veiled && !paths.is_empty() {
                input.unblur type="checkbox" id=(control);
                " " label for=(control) { "Show the images unblurred" }
            }
            div.row.blurred[is_veiled] {
                @for (index, path) in paths.iter().enumerate() {
                    @match images::data_uri(&folder.join(path)) {
                        Some(uri) => img src=(uri) alt=(format!("Image {} of prompt {}", index + 1, shown.record.item_id));
                        None => p.absent { "Image " (index + 1) " is missing: " code { (path.display()) } }
                    }
                }
            }
        }
    }
}

fn texts(shown: &ShownRollout) -> Markup {
    let record = &shown.record;
    html! {
        @for message in &record.messages {
            @let has_text = message.content.iter().any(|part| matches!(part, Part::Text { .. }));
            @if has_text { (quote(rollout_text::speaker(message.role), "prompt", &message.plain_text())) }
        }
        (response("", "response", &record.response))
        (remarks(&rollout_text::remarks(&record.judgement)))
        @if let Some(correction) = &record.correction {
            (quote("Reflection", "reflection", &correction.reflection))
            (response("Corrected ", "correction", &correction.response))
            (remarks(&rollout_text::remarks(&correction.judgement)))
            p.facts { @if correction.accepted { "The correction replaced the response in the group." }
                      @else { "The correction was not accepted." } }
        }
    }
}

fn remarks(remarks: &[String]) -> Markup {
    html! {
        @if !remarks.is_empty() {
            ul.remarks { @for remark in remarks { li { (remark) } } }
        }
    }
}
