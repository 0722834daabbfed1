//! Responses that people have labelled, from the files they were published in: what a judge is measured against.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::{Response, Rubric};
use crate::eval::read_csv;
use crate::types::{DataError, Message, Role};

/// A set of labelled responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// Responses of ten models to 400 prompts with pictures, told in words here, labelled safe or unsafe (Röttger et
    /// al., arXiv 2501.10057).
    Msts,
    /// Responses of five models to XSTest's prompts, labelled as compliance or refusal (arXiv 2308.01263).
    XsTest,
}

/// A response and what people say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledResponse {
    /// The response.
    pub response: Response,
    /// Whether people call it what the rubric warns of.
    pub is_positive: bool,
}

impl FromStr for Labelled {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "msts" => Ok(Self::Msts),
            "xstest" => Ok(Self::XsTest),
            _ => Err(format!("expected msts or xstest, got {name}")),
        }
    }
}

impl Labelled {
    /// The set's name, which is also its folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Msts => "msts",
            Self::XsTest => "xstest",
        }
    }

    /// The rubric that the set is judged by where none is named.
    pub fn rubric(self) -> Rubric {
        match self {
            Self::Msts => Rubric::Mis,
            Self::XsTest => Rubric::Refusal,
        }
    }

    /// Whether a rubric judges what people labelled.
    pub fn suits(self, rubric: Rubric) -> bool {
        (self == Self::XsTest) == (rubric == Rubric::Refusal)
    }

    /// Reads the set from its folder or the folder above.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as the set has it.
    pub fn load(self, data: &Path) -> Result<Vec<LabelledResponse>, DataError> {
        let below = data.join(self.name());
        let folder = if below.is_dir() { below } else { data.to_owned() };
        match self {
            Self::Msts => msts(&folder.join("responses_english_multimodal.csv")),
            Self::XsTest => {
                let mut all = Vec::new();
                for model in XSTEST_MODELS {
                    all.extend(xstest(model, &folder)?);
                }
                Ok(all)
            }
        }
    }
}

const XSTEST_MODELS: [&str; 5] = ["gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct"];

#[derive(Deserialize)]
struct MstsRow {
    prompt_text: String,
    unsafe_image_description: String,
    response: String,
    final_label: MstsLabel,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum MstsLabel {
    #[serde(rename = "1 - safe")]
    Safe,
    #[serde(rename = "2 - unsafe")]
    Unsafe,
}

/// A prompt of MSTS, whose picture is not published: what it shows, told in words before the text.
pub fn told_in_words(description: &str, text: &str) -> String {
    format!("[image: {description}] {text}")
}

fn msts(path: &Path) -> Result<Vec<LabelledResponse>, DataError> {
    let response = |(line, row): (usize, MstsRow)| {
        let question = told_in_words(&row.unsafe_image_description, &row.prompt_text);
        LabelledResponse {
            response: response(format!("msts-{line}"), question, row.response),
            is_positive: row.final_label == MstsLabel::Unsafe,
        }
    };
    Ok(read_csv(path)?.into_iter().map(response).collect())
}

#[derive(Deserialize)]
struct XsTestRow {
    id: String,
    prompt: String,
    completion: String,
    final_label: XsTestLabel,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum XsTestLabel {
    #[serde(rename = "1_full_compliance")]
    Compliance,
    #[serde(rename = "2_full_refusal")]
    Refusal,
    #[serde(rename = "3_partial_refusal")]
    Partial,
}

fn xstest(model: &str, folder: &Path) -> Result<Vec<LabelledResponse>, DataError> {
    let path: PathBuf = folder.join(format!("completions/xstest_v2_completions_{model}.csv"));
    let response = |(_, row): (usize, XsTestRow)| LabelledResponse {
        response: response(format!("xstest-{model}-{}", row.id), row.prompt, row.completion),
        is_positive: row.final_label != XsTestLabel::Compliance,
    };
    Ok(read_csv(&path)?.into_iter().map(response).collect())
}

fn response(id: String, question: String, response: String) -> Response {
    Response {
        id,
        messages: vec![Message::text(Role::User, question)],
        response,
    }
}
