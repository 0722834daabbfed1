//! What is known of a benchmark.

use std::path::{Path, PathBuf};

use align::judge::{Response, Rubric};
use align::types::{DataError, Item};
use align::verdict::Judge;

/// A published benchmark. Functions that read it are given its own folder.
#[derive(Debug)]
pub struct Suite {
    /// Its name on the command line, which is also its folder's.
    pub name: &'static str,
    /// What it measures, in a line of help.
    pub measures: &'static str,
    /// Reads its items.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as published, an image that is
    /// missing, or an id that occurs twice; `Empty` for a file without rows.
    pub read: fn(&Path) -> Result<Vec<Item>, DataError>,
    /// Makes the judge that reads its answers without a model. None where the benchmark cannot be evaluated, since its
    /// images are not published; training prompts can still be compared with it.
    pub judge: Option<fn() -> Box<dyn Judge>>,
    /// Responses of models that people have labeled, where there are any.
    pub labeled: Option<Labeled>,
}

/// Responses to a benchmark that people have labeled: what a judge is measured against.
#[derive(Debug)]
pub struct Labeled {
    /// The rubrics that judge what people labeled. The first is used where none is named.
    pub rubrics: &'static [Rubric],
    /// Reads the responses.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as published.
    pub read: fn(&Path) -> Result<Vec<LabeledResponse>, DataError>,
}

/// A response and what people say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledResponse {
    /// The response.
    pub response: Response,
    /// Whether people call it what the rubric warns of.
    pub is_positive: bool,
}

impl Suite {
    /// Reads the items from the suite's folder or the folder above.
    ///
    /// Errors: those of [`Suite::read`].
    pub fn load(&self, data: &Path) -> Result<Vec<Item>, DataError> {
        (self.read)(&self.folder(data))
    }

    /// Reads the labeled responses from the suite's folder or the folder above; none where there are none.
    ///
    /// Errors: those of [`Labeled::read`].
    pub fn load_labeled(&self, data: &Path) -> Result<Vec<LabeledResponse>, DataError> {
        match &self.labeled {
            Some(labeled) => (labeled.read)(&self.folder(data)),
            None => Ok(Vec::new()),
        }
    }

    fn folder(&self, data: &Path) -> PathBuf {
        let below = data.join(self.name);
        if below.is_dir() { below } else { data.to_owned() }
    }
}
