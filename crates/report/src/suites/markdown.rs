//! Benchmarks as Markdown.

use align::types::Part;

use crate::markdown_text::{escaped, quote, response, table};
use crate::rollout_text;
use crate::suites::contents::{ShownFlip, ShownResponse, SuiteReport};
use crate::suites::{tables, words};

/// The blocks of the section of benchmarks; none where there are none.
pub fn blocks(suites: &[SuiteReport], models: &[&str]) -> Vec<String> {
    let Some(overview) = tables::overview(suites, models) else { return Vec::new() };
    let mut blocks = vec![format!("{}\n", words::ABOUT.join("\n\n")), table(&overview)];
    blocks.extend(suites.iter().map(of_suite));
    blocks
}

fn of_suite(suite: &SuiteReport) -> String {
    let mut text = format!("### {} (`{}`)\n\n", escaped(&suite.title), suite.suite);
    for line in words::scored_by(suite) {
        text += &format!("{}\n\n", escaped(&line));
    }
    let mut all = vec![tables::rates(suite)];
    all.extend(tables::bounds(suite));
    all.extend(tables::differences(suite));
    all.extend(tables::categories(suite));
    all.push(tables::refusals(suite));
    all.extend(tables::deviations(suite));
    for one in &all {
        text += &(table(one) + "\n");
    }
    for line in words::made_with(suite) {
        text += &format!("- {}\n", escaped(&line));
    }
    for flip in &suite.flips {
        text += &flipped(suite, flip);
    }
    text
}

fn flipped(suite: &SuiteReport, flip: &ShownFlip) -> String {
    let heading = escaped(&words::flips(suite, flip));
    let mut text = format!("\n#### {heading}: {}\n\n{}\n\n", escaped(&flip.id), escaped(&words::facts(flip)));
    text += "<details><summary>Text and images (may describe hazards)</summary>\n\n";
    for message in &flip.messages {
        for part in &message.content {
            match part {
                Part::Text { text: said } => quote(&mut text, rollout_text::speaker(message.role), said),
                Part::Image { image, .. } => text += &format!("Image: `{}`\n\n", image.display()),
            }
        }
    }
    answer(&mut text, &flip.baseline, &flip.before);
    answer(&mut text, &flip.model, &flip.after);
    text + "</details>\n"
}

fn answer(text: &mut String, model: &str, shown: &ShownResponse) {
    response(text, &format!("{model}: "), &shown.response);
    *text += &format!("- {}\n\n", escaped(&words::judgement(shown)));
}
