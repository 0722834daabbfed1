//! The plot of a small curation.

use align::curate::{CurateConfig, CurationRecord, CurationSummary, DropReason, QiBox, RECORDS};
use align::files::write_lines;
use align::types::ItemKind;

fn record(number: usize, kind: ItemKind, reason: Option<DropReason>) -> CurationRecord {
    let is_scored = reason != Some(DropReason::TooFewScored);
    CurationRecord {
        id: format!("p{number}"),
        kind: Some(kind),
        stratum: "train".into(),
        q: is_scored.then_some(number as f64 / 4.0),
        i: is_scored.then_some(number as f64 / 16.0),
        flip_rate: None,
        n_scored: if is_scored { 4 } else { 0 },
        kept: reason.is_none(),
        reason,
    }
}

#[test]
fn every_scored_prompt_has_a_mark_and_the_legend_counts_them() {
    let mut records = Vec::new();
    for number in 0..30 {
        let kind = if number < 20 { ItemKind::Hazardous } else { ItemKind::Benign };
        let reason = (number % 20 >= 8).then_some(DropReason::LowQuality);
        records.push(record(number, kind, reason));
    }
    records.push(record(30, ItemKind::Hazardous, Some(DropReason::TooFewScored)));
    let folder = tempfile::tempdir().unwrap();
    write_lines(&folder.path().join(RECORDS), &records).unwrap();
    let summary = CurationSummary {
        config: CurateConfig::default(),
        judge: "mini-exact".into(),
        n_prompts: 31,
        n_samples: 124,
        n_unscored: 4,
        n_kept: 16,
        n_kept_benign: 8,
        dropped: [].into(),
        kept_by_stratum: [].into(),
        qi_box: Some(QiBox { q_low: 1.0, q_high: 7.0, i_low: 0.2 }),
        policies: [].into(),
        contamination: None,
    };
    report::qi_box::write(folder.path(), &summary).unwrap();
    let svg = std::fs::read_to_string(folder.path().join("qi_box.svg")).unwrap();
    for group in ["hazardous, kept (8)", "benign, kept (8)", "hazardous, dropped (12)", "benign, dropped (2)"] {
        assert!(svg.contains(group), "{group}: {svg}");
    }
    // A mark in the legend for each of the two groups, and one for each scored hazardous prompt.
    assert_eq!(svg.matches("<circle").count(), 2 + 20);
    assert!(svg.contains("the box"), "{svg}");
}
