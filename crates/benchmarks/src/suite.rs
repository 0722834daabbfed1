//! What is known of a benchmark.

use std::path::{Path, PathBuf};

use align::eval::suite::{Protocol, Published};
use align::judge::{Response, Rubric};
use align::types::{DataError, Item};
use serde_json::{Map, Value};

use crate::find::{candidates, matching, names};
use crate::images::Images;
use crate::reader::{Loaded, Reader};
use crate::scoring::{Scoring, Sees};

/// A published benchmark. All that is known of one is in its file below [`crate::suites`].
#[derive(Debug)]
pub struct Suite {
    /// Its name on the command line. What follows an `@` says by whose rates the items of the suite before it are scored.
    pub name: &'static str,
    /// Its name in print.
    pub title: &'static str,
    /// What it measures, in a line of help.
    pub measures: &'static str,
    /// The paper, such as `Gong et al., arXiv 2311.05608`.
    pub paper: &'static str,
    /// On what terms it may be used.
    pub license: License,
    /// The groups that it belongs to.
    pub groups: &'static [Group],
    /// How many items are published.
    pub published_items: usize,
    /// What its folder is called, beside its name here: the authors' repository, the data set on the hub.
    pub folders: &'static [&'static str],
    /// Its layouts: in each, a path that is in the folder in this layout and in no other. `*` stands for any letters of a
    /// name.
    pub layouts: &'static [&'static str],
    /// Reads the items in whichever layout is there.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as published.
    pub read: fn(&mut Reader) -> Result<(), DataError>,
    /// Makes an item of a row of a file of results, where such rows hold all that scoring needs, or where only the row as
    /// a whole tells its item.
    pub row: Option<ReadRow>,
    /// The columns of files of results that tell an item, in the order of preference. What an item's id has after
    /// the suite's name and a dash, or after its split and a dash too, is the value of one.
    pub keys: &'static [&'static str],
    /// How its authors have models answer.
    pub generation: Generation,
    /// How its verdicts become rates.
    pub protocol: Protocol,
    /// Who or what scores a response.
    pub scoring: Scoring,
    /// Published figures.
    pub figures: &'static [Figure],
    /// What of the authors' evaluator is done differently here, and why; empty where nothing is.
    pub note: &'static str,
    /// Responses of models that people have labeled, where there are any.
    pub labeled: Option<Labeled>,
}

/// Makes an item of a row; none of a row that the suite leaves out, such as one of a split without answers.
///
/// Errors: what is wrong with the row.
pub type ReadRow = fn(&Map<String, Value>) -> Result<Option<Item>, String>;

/// On what terms a benchmark may be used.
#[derive(Clone, Copy, Debug)]
pub struct License {
    /// Its name, or `none stated`.
    pub name: &'static str,
    /// Whether it forbids training on the benchmark, or the authors do.
    pub forbids_training: bool,
}

/// Benchmarks that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Safety, as the MIS paper evaluates MIRage.
    Mirage,
    /// As SaFeR-VLM is evaluated.
    Safer,
    /// General ability, as the MIS paper evaluates it.
    General,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 3] = [Self::Mirage, Self::Safer, Self::General];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirage => "mirage",
            Self::Safer => "safer",
            Self::General => "general",
        }
    }
}

const SAFER_PAPER: &str = "Yi et al., arXiv 2510.06871";
const STEER_PAPER: &str = "SaFeR-Steer, arXiv 2604.16358, five sets";

/// Published means over a group's suites. Those of the SaFeR-Steer paper are over five of SaFeR-VLM's sets.
const MEANS: [(Group, Figure); 16] = [
    mean(Group::General, "InternVL2.5-8B", "accuracy", 60.47),
    mean(Group::General, "InternVL2.5-8B + MIRage", "accuracy", 61.30),
    mean(Group::Safer, "SaFeR-VLM-3B", SAFETY, 70.13),
    mean(Group::Safer, "SaFeR-VLM-3B", HELPFULNESS, 78.97),
    anew("Qwen2.5-VL-3B", SAFETY, 48.30),
    anew("Qwen2.5-VL-3B", HELPFULNESS, 45.86),
    anew("SaFeR-VLM-3B, measured anew", SAFETY, 72.02),
    anew("SaFeR-VLM-3B, measured anew", HELPFULNESS, 69.15),
    anew("SaFeR-Steer-3B", SAFETY, 81.84),
    anew("SaFeR-Steer-3B", HELPFULNESS, 70.77),
    anew("Qwen2.5-VL-7B", SAFETY, 56.21),
    anew("Qwen2.5-VL-7B", HELPFULNESS, 60.32),
    anew("SaFeR-VLM-7B, measured anew", SAFETY, 74.48),
    anew("SaFeR-VLM-7B, measured anew", HELPFULNESS, 71.69),
    anew("SaFeR-Steer-7B", SAFETY, 87.89),
    anew("SaFeR-Steer-7B", HELPFULNESS, 77.40),
];

const SAFETY: &str = "safety_at_3";
const HELPFULNESS: &str = "helpfulness_at_3";

/// A mean as the group's own paper has it.
const fn mean(group: Group, model: &'static str, rate: &'static str, percent: f64) -> (Group, Figure) {
    let (judge, source) = match group {
        Group::Safer => ("GPT-4o-mini", SAFER_PAPER),
        Group::General | Group::Mirage => ("rules", MIS_PAPER),
    };
    (group, Figure { model, split: "all", rate, percent, judge, source })
}

/// A mean as a later paper of SaFeR-VLM's group has it.
const fn anew(model: &'static str, rate: &'static str, percent: f64) -> (Group, Figure) {
    (Group::Safer, Figure { model, split: "all", rate, percent, judge: "GPT-5-nano", source: STEER_PAPER })
}

impl Group {
    /// The published means over its suites.
    pub fn published(self) -> Vec<Published> {
        let figures = MEANS.iter().filter(|(group, _)| *group == self);
        figures.map(|(_, figure)| figure.published()).collect()
    }
}

impl Figure {
    /// A figure of the MIS paper over all items; it does not name the judge of suites that are not its own.
    pub const fn of_mis(model: &'static str, rate: &'static str, percent: f64) -> Self {
        Self { model, split: "all", rate, percent, judge: NOT_NAMED, source: MIS_PAPER }
    }

    /// As records keep it.
    fn published(&self) -> Published {
        Published {
            model: self.model.to_owned(),
            split: self.split.to_owned(),
            rate: self.rate.to_owned(),
            percent: self.percent,
            judge: self.judge.to_owned(),
            source: self.source.to_owned(),
        }
    }
}

/// How a benchmark's authors have models answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generation {
    /// 0 is greedy.
    pub temperature: f64,
    /// Most tokens of a response.
    pub max_new_tokens: usize,
    /// The least pixels of an image for the Qwen families, where the authors set it.
    pub min_pixels: Option<usize>,
    /// The most.
    pub max_pixels: Option<usize>,
    /// The most tiles of an image for the InternVL families, where the authors set it.
    pub max_dynamic_patch: Option<usize>,
    /// Whether they write `Image-1: ` and so on before images that they show to InternVL, with an empty line after each.
    pub labels_internvl_images: bool,
}

impl Generation {
    /// Greedy, with the model's own limits of images.
    pub const fn greedy(max_new_tokens: usize) -> Self {
        Self {
            temperature: 0.0,
            max_new_tokens,
            min_pixels: None,
            max_pixels: None,
            max_dynamic_patch: None,
            labels_internvl_images: false,
        }
    }
}

/// A published figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The model, as published.
    pub model: &'static str,
    /// The split; `all` where it is over all items.
    pub split: &'static str,
    /// The rate, by our name.
    pub rate: &'static str,
    /// The figure in %.
    pub percent: f64,
    /// Who judged.
    pub judge: &'static str,
    /// Where it is published.
    pub source: &'static str,
}

/// The MIS paper, which publishes figures of several suites.
pub const MIS_PAPER: &str = "Ding et al., arXiv 2501.18533";

/// The judge of figures whose source does not name it.
pub const NOT_NAMED: &str = "not named";

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
    /// Reads the items from the suite's folder, or from a folder that holds it.
    ///
    /// Errors: those of [`Suite::read`]; `Io` where it is not there in any known layout; `Line` for an id that occurs
    /// twice, and where more than a tenth of the items miss an image; `Empty` for a file without rows.
    pub fn load(&self, data: &Path, images: &mut Images) -> Result<Loaded, DataError> {
        let loaded = self.load_any(data, images)?;
        loaded.check_complete()?;
        Ok(loaded)
    }

    /// Reads the items, however many of their images are missing.
    ///
    /// Errors: as [`Suite::load`].
    pub fn load_any(&self, data: &Path, images: &mut Images) -> Result<Loaded, DataError> {
        let (folder, _) = self.folder(data)?;
        let mut reader = Reader::new(&folder, self.candidates(data), images);
        (self.read)(&mut reader)?;
        reader.finish()
    }

    /// Where the suite is, the first of [`Suite::candidates`] that is in a known layout, and which layout that is.
    ///
    /// Errors: `Io` where none is.
    pub fn folder(&self, data: &Path) -> Result<(PathBuf, &'static str), DataError> {
        let found = self.candidates(data).into_iter().find_map(|folder| {
            let layout = self.layouts.iter().find(|layout| !matching(&folder, layout).is_empty())?;
            Some((folder, *layout))
        });
        found.ok_or_else(|| {
            let problem = format!(
                "{}: {} is not there: expected `{}`, in this folder or in one named {}",
                data.display(),
                self.title,
                self.layouts.join("`, or `"),
                names(self.items_name(), self.folders).join(", "),
            );
            std::io::Error::new(std::io::ErrorKind::NotFound, problem).into()
        })
    }

    /// The folders in which it, or its authors' repository, may be: the one named, those below it by its names, and
    /// snapshots of the hub's cache.
    pub fn candidates(&self, data: &Path) -> Vec<PathBuf> {
        candidates(self.items_name(), self.folders, data)
    }

    /// Reads the labeled responses; none where there are none.
    ///
    /// Errors: those of [`Labeled::read`].
    pub fn load_labeled(&self, data: &Path) -> Result<Vec<LabeledResponse>, DataError> {
        let Some(labeled) = &self.labeled else {
            return Ok(Vec::new());
        };
        let folder = self.folder(data).map(|(folder, _)| folder);
        let below = Some(data.join(self.name)).filter(|below| below.is_dir());
        (labeled.read)(&folder.ok().or(below).unwrap_or_else(|| data.to_owned()))
    }

    /// The name with which its items' ids begin.
    fn items_name(&self) -> &'static str {
        self.name.split('@').next().unwrap_or(self.name)
    }

    /// Whether judges of its responses see images, where there are judges.
    pub fn shows_images(&self, has_judges: bool) -> bool {
        match self.scoring {
            Scoring::Judged { questions, .. } => has_judges && questions.iter().any(|asked| asked.sees == Sees::Images),
            Scoring::Rule(_) | Scoring::Unavailable(_) => false,
        }
    }

    /// The value of an item's key in files of results: its id without the suite's name.
    pub fn key_of<'a>(&self, item: &'a Item) -> &'a str {
        let rest = item.id.strip_prefix(self.items_name()).and_then(|rest| rest.strip_prefix('-'));
        rest.unwrap_or(&item.id)
    }

    /// Its published figures as records.
    pub fn published(&self) -> Vec<Published> {
        self.figures.iter().map(Figure::published).collect()
    }
}
