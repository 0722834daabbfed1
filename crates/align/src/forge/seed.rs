//! What items are planned from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::taxonomy::Taxonomy;
use crate::types::{id_as_text, optional_id_as_text};

/// What items are planned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Unique among the seeds.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// Words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Or an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The subcategory that items shall be of; any of the taxonomy's where there is none.
    #[serde(default, deserialize_with = "optional_id_as_text", skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
}

impl Seed {
    /// The seeds of a taxonomy.
    pub fn of(taxonomy: &Taxonomy) -> Vec<Self> {
        let mut seeds = Vec::new();
        for (place, (_, subcategory)) in taxonomy.subcategories().enumerate() {
            for (index, text) in subcategory.seeds.iter().enumerate() {
                seeds.push(Self {
                    id: format!("s{}-{}", place + 1, index + 1),
                    text: Some(text.clone()),
                    image: None,
                    subcategory: Some(subcategory.name.clone()),
                });
            }
        }
        seeds
    }
}
