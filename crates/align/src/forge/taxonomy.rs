//! Kinds of harm: categories, subcategories, and the neutral seeds from which the writer plans items.

use std::path::Path;

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

/// The taxonomies that come with Scruple, by name.
const SHIPPED: [(&str, &str); 2] = [
    ("mis", include_str!("taxonomies/mis.v1.toml")),
    ("mini", include_str!("taxonomies/mini.v1.toml")),
];

impl Taxonomy {
    /// The taxonomy of this name (`mis`: the paper's 6 categories and 14 subcategories; `mini`: the miniature world's
    /// hazards), or the one in the TOML file of this path.
    ///
    /// Errors: a message naming the file and what is wrong with it.
    pub fn open(name: &str) -> Result<Self, String> {
        let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
        let text = match shipped {
            Some((_, text)) => (*text).to_owned(),
            None => fs_err::read_to_string(Path::new(name)).map_err(|error| {
                format!("{error}\n  hint: a taxonomy is `mis`, `mini` or a TOML file in the same layout")
            })?,
        };
        let taxonomy: Self = toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
        taxonomy.check().map_err(|problem| format!("{name}: {problem}"))?;
        Ok(taxonomy)
    }

    fn check(&self) -> Result<(), String> {
        let mut names = std::collections::HashSet::new();
        for (_, subcategory) in self.subcategories() {
            if !names.insert(&subcategory.name) {
                return Err(format!(
                    "`subcategory.name`: expected unique names, got \"{}\" twice",
                    subcategory.name
                ));
            }
        }
        if names.is_empty() {
            return Err("`category`: expected at least one with a subcategory, got none".to_owned());
        }
        Ok(())
    }

    /// Every subcategory with its category.
    pub fn subcategories(&self) -> impl Iterator<Item = (&Category, &Subcategory)> {
        self.category
            .iter()
            .flat_map(|category| category.subcategory.iter().map(move |one| (category, one)))
    }

    /// The category and subcategory of a subcategory's name, letter case aside.
    pub fn find(&self, subcategory: &str) -> Option<(&Category, &Subcategory)> {
        self.subcategories()
            .find(|(_, one)| one.name.eq_ignore_ascii_case(subcategory.trim()))
    }

    /// The subcategories as models are told them, a line each.
    pub fn listed(&self) -> String {
        let lines = self
            .subcategories()
            .map(|(category, one)| format!("{}: {}", category.name, one.name));
        lines.collect::<Vec<_>>().join("\n")
    }
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
        let message = |text: &str| {
            fs_err::write(&path, text).unwrap();
            let error = Taxonomy::open(path.to_str().unwrap()).unwrap_err();
            error.replace(path.to_str().unwrap(), "mine.toml")
        };
        assert!(message("name = \"a\"\ncategory = []").contains("expected at least one"));
        let twice = "name = \"a\"\n[[category]]\nname = \"b\"\nsubcategory = [{ name = \"c\" }, { name = \"c\" }]";
        assert!(message(twice).contains("unique names, got \"c\" twice"));
        assert!(message("name = 1").contains("invalid type"));
        assert!(
            Taxonomy::open("none")
                .unwrap_err()
                .contains("hint: a taxonomy is `mis`, `mini`")
        );
    }
}
