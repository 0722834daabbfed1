//! What a finished run leaves: items, files by split for evaluation, labeled samples, and the released MIS layout.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::draft::{Draft, Maker, Split};
use super::job::{Forge, ForgeError};
use crate::files::{write_atomically, write_lines};
use crate::run_dir::write_json;
use crate::types::{Item, ItemKind, Part, relative_to};

/// A line of the results: the item, and where it comes from.
#[derive(Clone, Serialize)]
struct Forged {
    #[serde(flatten)]
    item: Item,
    /// The category above the item's own, which is its subcategory.
    main_category: String,
    /// Who had a part in it, with the prompts' hashes; what was said is in the stages' files.
    made_by: Vec<Maker>,
}

/// Writes `items.jsonl`, `train.jsonl`, the test splits and `mis/`.
///
/// Errors: `Io` naming the file.
pub(super) fn write(forge: &Forge, drafts: &[Draft]) -> Result<(), ForgeError> {
    let items: Vec<Forged> = drafts.iter().map(|draft| forged(forge, draft, drafts)).collect();
    let folder = forge.folder;
    let mut train = Vec::new();
    for (draft, forged) in drafts.iter().zip(&items) {
        if let Some(label) = &draft.label {
            train.push(Forged { item: forged.item.labeled(label), ..forged.clone() });
        }
    }
    write_lines(&folder.join("train.jsonl"), &train)?;
    for split in ["easy", "hard", "real", "benign", "black"] {
        let of_split = items.iter().filter(|forged| forged.item.split.as_deref() == Some(split));
        write_lines(&folder.join(format!("{split}.jsonl")), of_split)?;
    }
    write_lines(&folder.join("items.jsonl"), &items)?;
    for split in Split::ALL {
        write_mis(folder, split, drafts)?;
    }
    Ok(())
}

fn forged(forge: &Forge, draft: &Draft, drafts: &[Draft]) -> Forged {
    let mut item = item(forge, draft, drafts);
    for part in item.messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Part::Image { image, .. } = part {
            *image = relative_to(image, forge.folder);
        }
    }
    let mut made_by = draft.made_by.clone();
    made_by.iter_mut().for_each(|maker| maker.said = None);
    Forged { item, main_category: draft.category.clone(), made_by }
}

/// The item of a draft. Twins of test items are splits of their own, as in the miniature world.
fn item(forge: &Forge, draft: &Draft, drafts: &[Draft]) -> Item {
    let split = match (draft.split, draft.kind) {
        (Some(Split::Train), _) | (_, ItemKind::Hazardous) => draft.split.map_or("train", Split::name),
        (_, ItemKind::BlankImage) => "black",
        _ => "benign",
    };
    let messages = draft.messages(forge.folder);
    let truth = forge.truth.and_then(|truth| match draft.kind {
        // What black images would have shown is known of the item whose twin it is.
        ItemKind::BlankImage => {
            let seen = drafts.iter().find(|other| other.id == draft.root())?;
            truth(&seen.messages(forge.folder), true)
        }
        _ => truth(&messages, false),
    });
    Item {
        id: draft.id.clone(),
        messages,
        split: Some(split.to_owned()),
        kind: Some(draft.kind),
        category: Some(draft.subcategory.clone()),
        twin_of: draft.twin_of.clone(),
        truth,
    }
}

/// `mis/mis_<split>.json` and its images: the released layout (MIS). Training samples are conversations; those of the
/// other splits are questions. Twins are not part of it.
fn write_mis(folder: &Path, split: Split, drafts: &[Draft]) -> Result<(), ForgeError> {
    let (mis, name) = (folder.join("mis"), split.name());
    // The folders are counted anew: none may be left of items that are there no more.
    let images = mis.join(format!("{name}_image"));
    if images.exists() {
        fs_err::remove_dir_all(images)?;
    }
    let mut records = Vec::new();
    for draft in drafts {
        if draft.split != Some(split) || draft.kind != ItemKind::Hazardous {
            continue;
        }
        let number = records.len() + 1;
        let mut images = Vec::new();
        for (place, image) in draft.images.iter().enumerate() {
            let ending = image.extension().unwrap_or_default().to_string_lossy();
            let path = PathBuf::from(format!("{name}_image/{number}/object{}.{ending}", place + 1));
            let bytes = fs_err::read(folder.join(image))?;
            write_atomically(&mis.join(&path), &bytes)?;
            images.push(path);
        }
        records.push(mis_record(number, draft, &images));
    }
    Ok(write_json(&mis.join(format!("mis_{name}.json")), &records)?)
}

fn mis_record(number: usize, draft: &Draft, images: &[PathBuf]) -> Value {
    let mut record = json!({
        "id": number,
        "question": draft.query,
        "category": draft.category,
        "sub_category": draft.subcategory,
    });
    for (place, image) in images.iter().enumerate() {
        record[format!("image_path{}", place + 1)] = json!(image);
    }
    if let Some(label) = &draft.label {
        let question = format!("{}{}", "<image>\n".repeat(images.len()), draft.query);
        record["image"] = json!(images);
        record["conversations"] = json!([
            { "from": "human", "value": question },
            { "from": "gpt", "value": label },
        ]);
    }
    record
}
