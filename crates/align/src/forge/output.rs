//! What a finished run leaves: items, files by split for evaluation, labelled samples, and the released MIS layout.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Draft, Forge, ForgeError, Maker, Split};
use crate::run_dir::{write_atomically, write_lines};
use crate::types::{DataError, Item, ItemKind, Part, relative_to};

/// A line of the results: the item, and where it comes from.
#[derive(Clone, Serialize)]
struct Forged {
    #[serde(flatten)]
    item: Item,
    /// The category above the item's own, which is its sub-category.
    main_category: String,
    /// Who had a part in it, with the prompts' hashes; what was said is in the stages' files.
    made_by: Vec<Maker>,
}

/// Writes `items.jsonl`, `train.jsonl`, the test splits and `mis/`.
///
/// Errors: `Io` naming the file.
pub(super) fn write(forge: &Forge, drafts: &[Draft]) -> Result<(), ForgeError> {
    let items: Vec<Forged> = drafts.iter().map(|draft| forged(forge, draft, drafts)).collect();
    let write = |name: &str, items: Vec<Forged>| write_lines(&forge.folder.join(name), &items);
    let train = drafts.iter().zip(&items).filter_map(|(draft, forged)| {
        Some(Forged {
            item: forged.item.labeled(draft.label.as_deref()?),
            ..forged.clone()
        })
    });
    write("train.jsonl", train.collect())?;
    for split in ["easy", "hard", "real", "benign", "blank"] {
        let of_split = items
            .iter()
            .filter(|forged| forged.item.split.as_deref() == Some(split));
        write(&format!("{split}.jsonl"), of_split.cloned().collect())?;
    }
    write("items.jsonl", items)?;
    let folder = forge.folder;
    for split in Split::ALL {
        write_mis(folder, split, drafts)?;
    }
    Ok(())
}

fn forged(forge: &Forge, draft: &Draft, drafts: &[Draft]) -> Forged {
    let mut item = item(forge, draft, drafts);
    for part in item.messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Part::Image { image } = part {
            *image = relative_to(image, forge.folder);
        }
    }
    let without_words = |maker: &Maker| Maker {
        said: None,
        ..maker.clone()
    };
    Forged {
        item,
        main_category: draft.category.clone(),
        made_by: draft.made_by.iter().map(without_words).collect(),
    }
}

/// The item of a draft. Twins of test items are splits of their own, as in the miniature world.
fn item(forge: &Forge, draft: &Draft, drafts: &[Draft]) -> Item {
    let split = match (draft.split, draft.kind) {
        (Some(Split::Train), _) | (_, ItemKind::Hazardous) => draft.split.map_or("train", Split::name),
        (_, ItemKind::BlankImage) => "blank",
        _ => "benign",
    };
    let messages = draft.messages(forge.folder);
    let truth = forge.truth.and_then(|truth| match draft.kind {
        // What black pictures would have shown is known of the item that they are blackened from.
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

/// `mis/mis_<split>.json` and its pictures: the released layout (P1). Training samples are conversations; those of the
/// other splits are questions. Twins are not part of it.
fn write_mis(folder: &Path, split: Split, drafts: &[Draft]) -> Result<(), ForgeError> {
    let (mis, name) = (folder.join("mis"), split.name());
    // The folders are counted anew: none may be left of items that are there no more.
    let images = mis.join(format!("{name}_image"));
    if images.exists() {
        fs_err::remove_dir_all(images)?;
    }
    let mut records = Vec::new();
    let is_of_split = |draft: &&Draft| draft.split == Some(split) && draft.kind == ItemKind::Hazardous;
    for (index, draft) in drafts.iter().filter(is_of_split).enumerate() {
        let number = index + 1;
        let mut pictures = Vec::new();
        for (place, picture) in draft.pictures.iter().enumerate() {
            let ending = picture.extension().unwrap_or_default().to_string_lossy();
            let path = PathBuf::from(format!("{name}_image/{number}/object{}.{ending}", place + 1));
            let bytes = fs_err::read(folder.join(picture))?;
            write_atomically(&mis.join(&path), &bytes)?;
            pictures.push(path);
        }
        records.push(mis_record(number, draft, &pictures));
    }
    let mut text = serde_json::to_vec_pretty(&records).map_err(|error| DataError::Io(error.into()))?;
    text.push(b'\n');
    write_atomically(&mis.join(format!("mis_{name}.json")), &text)?;
    Ok(())
}

fn mis_record(number: usize, draft: &Draft, pictures: &[PathBuf]) -> Value {
    let mut record = json!({
        "id": number,
        "question": draft.query,
        "category": draft.category,
        "sub_category": draft.subcategory,
    });
    for (place, picture) in pictures.iter().enumerate() {
        record[format!("image_path{}", place + 1)] = json!(picture);
    }
    if let Some(label) = &draft.label {
        let question = format!("{}{}", "<image>\n".repeat(pictures.len()), draft.query);
        record["image"] = json!(pictures);
        record["conversations"] = json!([
            { "from": "human", "value": question },
            { "from": "gpt", "value": label },
        ]);
    }
    record
}
