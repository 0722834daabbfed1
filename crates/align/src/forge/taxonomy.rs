//! Kinds of harm: categories, subcategories, and the neutral seeds from which the writer plans items.

use std::path::Path;

use diagnostic::reason::{Place, Syntax};
use diagnostic::{Diagnosis, Diagnostic, Kind, line_at};
use serde::{Deserialize, Serialize};

/// Categories of harm with their subcategories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taxonomy {
    /// Its name, for records.
    pub name: String,
    /// The categories, in the order of tables.
    pub category: Vec<Category>,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Its subcategories.
    pub subcategory: Vec<Subcategory>,
}

/// A subcategory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subcategory {
    /// Its name, unique in the taxonomy.
    pub name: String,
    /// Things or scenes that items are planned from.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// Most hazardous items that are kept; 0 for all.
    #[serde(default)]
    pub target: usize,
}

/// Why a taxonomy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaxonomyError {
    /// None of this name is shipped, and no file of this path can be read; the message names it.
    #[error(transparent)]
    Unknown(std::io::Error),
    /// The file is not a taxonomy.
    #[error("{name}: {problem}")]
    Invalid {
        /// The file.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
}

impl Diagnostic for TaxonomyError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Unknown(_) => Kind::Settings.hint("a taxonomy is `mis`, `mini` or a TOML file in the same layout"),
            Self::Invalid { .. } => Kind::Settings.into(),
        }
    }
}

/// The taxonomies that come with Scruple, by name.
const SHIPPED: [(&str, &str); 2] =
    [("mis", include_str!("taxonomies/mis.v1.toml")), ("mini", include_str!("taxonomies/mini.v1.toml"))];

impl Taxonomy {
    /// The taxonomy of this name (`mis`: the paper's 6 categories and 14 subcategories; `mini`: the miniature world's
    /// hazards), or the one in the TOML file of this path.
    ///
    /// Errors: [`TaxonomyError`] naming the file.
    pub fn open(name: &str) -> Result<Self, TaxonomyError> {
        let text = match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => (*text).to_owned(),
            None => fs_err::read_to_string(Path::new(name)).map_err(TaxonomyError::Unknown)?,
        };
        toml::from_str(&text)
            .map_err(|error| plain(&text, &error))
            .and_then(Self::check)
            .map_err(|problem| TaxonomyError::Invalid { name: name.to_owned(), problem })
    }

    fn check(self) -> Result<Self, String> {
        let mut names = std::collections::HashSet::new();
        for (_, subcategory) in self.subcategories() {
            if !names.insert(&subcategory.name) {
                return Err(format!("`subcategory.name`: expected unique names, got \"{}\" twice", subcategory.name));
            }
        }
        if names.is_empty() {
            return Err("`category`: expected at least one with a subcategory, got none".to_owned());
        }
        Ok(self)
    }

    /// Every subcategory with its category.
    pub fn subcategories(&self) -> impl Iterator<Item = (&Category, &Subcategory)> {
        self.category.iter().flat_map(|category| category.subcategory.iter().map(move |one| (category, one)))
    }

    /// The category and subcategory of a subcategory's name, letter case aside.
    pub fn find(&self, subcategory: &str) -> Option<(&Category, &Subcategory)> {
        self.subcategories().find(|(_, one)| one.name.eq_ignore_ascii_case(subcategory.trim()))
    }

    /// The subcategories as prompts list them, a line each.
    pub fn listed(&self) -> String {
        let lines = self.subcategories().map(|(category, one)| format!("{}: {}", category.name, one.name));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What is wrong with a taxonomy's text, and where.
fn plain(text: &str, error: &toml::de::Error) -> String {
    let span = error.span().unwrap_or_default();
    let line = line_at(text, span.start);
    let written = text.get(span).unwrap_or_default();
    let (problem, _) = Place { syntax: Syntax::Toml, key: "", known: &[], written }.explain(error.message());
    format!("line {line}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taxonomies_are_shipped_or_read_from_files() {
        let shipped = Taxonomy::open("mis").unwrap();
        assert_eq!((shipped.category.len(), shipped.subcategories().count()), (6, 14));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        for (text, problem) in [
            ("name = \"a\"\ncategory = []", "expected at least one"),
            (
                "name = \"a\"\n[[category]]\nname = \"b\"\nsubcategory = [{ name = \"c\" }, { name = \"c\" }]",
                "unique names, got \"c\" twice",
            ),
            ("name = 1", "line 1: expected a string, got `1`"),
        ] {
            fs_err::write(&path, text).unwrap();
            let error = Taxonomy::open(path.to_str().unwrap()).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("mine.toml"), "{error}");
        }
        let hint = Taxonomy::open("none").unwrap_err().hint().unwrap();
        assert!(hint.contains("a taxonomy is `mis`, `mini`"), "{hint}");
    }
}
