//! One rollout on the page. What may harm is hidden until asked for: text in a closed fold, images blurred.

use std::path::Path;

use maud::{Markup, html};

use super::markdown::speaker;
use super::{ShownRollout, images, page, verdicts};
use crate::tagged;
use crate::types::{Part, image_paths};

/// The card of a rollout. `place` tells its controls apart from those of other cards.
pub(super) fn card(shown: &ShownRollout, folder: &Path, place: usize) -> Markup {
    let record = &shown.record;
    let is_veiled = verdicts::is_veiled(record);
    html! {
        article.rollout {
            header {
                h3 { (verdicts::event_label(record)) }
                p.facts { code { (record.item_id) } " · " (verdicts::facts(&shown.run, record)) }
            }
            div.columns {
                div {
                    (pictures(shown, folder, place, is_veiled))
                    details class=[is_veiled.then_some("veil")] open[!is_veiled] {
                        summary { @if is_veiled { "Show the text, which may describe a hazard" } @else { "Text" } }
                        (texts(shown))
                    }
                }
                @if let Some(verdict) = verdicts::grid(record) { (page::grid(&verdict)) }
            }
        }
    }
}

fn pictures(shown: &ShownRollout, folder: &Path, place: usize, is_veiled: bool) -> Markup {
    let control = format!("unblur-{place}");
    let paths: Vec<&Path> = image_paths(&shown.record.messages).collect();
    html! {
        div.pictures {
            @if is_veiled && !paths.is_empty() {
                input.unblur type="checkbox" id=(control);
                " " label for=(control) { "Show the images unblurred" }
            }
            div.row.blurred[is_veiled] {
                @for (index, path) in paths.iter().enumerate() {
                    @match images::data_uri(&folder.join(path)) {
                        Some(uri) => img src=(uri) alt=(format!("Image {} of prompt {}", index + 1, shown.record.item_id));
                        None => p.absent { "Image " (index + 1) " is not there: " code { (path.display()) } }
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
            @let has_words = message.content.iter().any(|part| matches!(part, Part::Text { .. }));
            @if has_words { (quote(speaker(message.role), "prompt", &message.plain_text())) }
        }
        (response("", &record.response))
        (remarks(&verdicts::remarks(&record.judgement)))
        @if let Some(correction) = &record.correction {
            (quote("Reflection", "reflection", &correction.reflection))
            (response("Corrected ", &correction.response))
            (remarks(&verdicts::remarks(&correction.judgement)))
            p.facts { @if correction.accepted { "The correction took the response’s place in the group." }
                      @else { "The correction was not taken." } }
        }
    }
}

fn response(prefix: &str, response: &str) -> Markup {
    let parts = tagged::parts(response);
    let kind = if prefix.is_empty() { "response" } else { "correction" };
    html! {
        @if let Some(think) = parts.think { (quote(&format!("{prefix}thinking"), kind, think)) }
        (quote(&format!("{prefix}answer"), kind, parts.answer))
    }
}

fn quote(label: &str, kind: &str, words: &str) -> Markup {
    html! {
        div.quote.(kind) {
            span.label { (label) }
            blockquote { (words) }
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
