//! The order of patches while a block attends: windows or frames end to end, equal sizes together.
//!
//! Everything but attention treats patches one by one, so patches may be in any order as long as those that attend to
//! each other are neighbors. Groups of equal size, of all images at once, then form one dense batch: no mask, no loop
//! over images, no scores that are thrown away. Pure index arithmetic; no tensors here.

use std::collections::HashMap;

/// Consecutive groups of equal size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// How many groups.
    pub groups: usize,
    /// Merge units (squares of `spatial_merge_size`² patches) in each.
    pub units: usize,
}

/// An order of all merge units, cut into groups that attend within themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    /// The merge units, numbered in reading order.
    pub order: Vec<usize>,
    /// The groups, from the first unit to the last.
    pub runs: Vec<Run>,
}

impl Arrangement {
    /// Puts groups of equal size together, each size in the order its groups came.
    fn of(mut groups: Vec<Vec<usize>>) -> Self {
        groups.sort_by_key(Vec::len);
        let mut runs: Vec<Run> = Vec::new();
        for group in &groups {
            match runs.last_mut() {
                Some(run) if run.units == group.len() => run.groups += 1,
                _ => runs.push(Run { groups: 1, units: group.len() }),
            }
        }
        Self { order: groups.concat(), runs }
    }

    /// For each unit of this arrangement, its index in `other`; none if they agree.
    pub fn indexes_in(&self, other: &Self) -> Option<Vec<usize>> {
        (self.order != other.order).then(|| {
            let inverse = inverse(&other.order);
            self.order.iter().map(|&unit| inverse[unit]).collect()
        })
    }

    /// For each unit in reading order, its index; none if the units are in reading order already.
    pub fn indexes_in_reading_order(&self) -> Option<Vec<usize>> {
        (!self.is_reading_order()).then(|| inverse(&self.order))
    }

    /// Whether the units are in reading order.
    pub fn is_reading_order(&self) -> bool {
        self.order.iter().enumerate().all(|(index, &unit)| index == unit)
    }
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (index, &unit) in order.iter().enumerate() {
        inverse[unit] = index;
    }
    inverse
}

/// Frames end to end: what the blocks of `fullatt_block_indexes` attend within.
///
/// `grids` are `[time, height, width]` in patches, `merge` is `spatial_merge_size`.
pub(super) fn frames(grids: &[[usize; 3]], merge: usize) -> Arrangement {
    let mut groups = Vec::new();
    let mut first = 0;
    for &[time, height, width] in grids {
        let units = (height / merge) * (width / merge);
        for _ in 0..time {
            groups.push((first..first + units).collect());
            first += units;
        }
    }
    Arrangement::of(groups)
}

/// Windows end to end: squares of `window` × `window` merge units, smaller at the right and lower edges.
///
/// Source: `get_window_index` of transformers 4.57. Differs: windows of equal size are gathered from all images, which
/// changes no result, as windows never attend to each other.
pub(super) fn windows(grids: &[[usize; 3]], merge: usize, window: usize) -> Arrangement {
    let mut groups = Vec::new();
    let mut first = 0;
    for &[time, height, width] in grids {
        let (rows, columns) = (height / merge, width / merge);
        for _ in 0..time {
            for top in (0..rows).step_by(window) {
                for left in (0..columns).step_by(window) {
                    let mut group = Vec::new();
                    for row in top..(top + window).min(rows) {
                        let start = first + row * columns;
                        group.extend(start + left..start + (left + window).min(columns));
                    }
                    groups.push(group);
                }
            }
            first += rows * columns;
        }
    }
    Arrangement::of(groups)
}

/// Row and column of every patch, in the order in which the processor writes patches: unit by unit in reading order,
/// and within a unit row by row.
///
/// Source: `rot_pos_emb` of transformers 4.57.
pub(super) fn coordinates(grids: &[[usize; 3]], merge: usize) -> Vec<[usize; 2]> {
    let mut coordinates = Vec::new();
    for &[time, height, width] in grids {
        for _ in 0..time {
            for (top, left) in product(height / merge, width / merge) {
                coordinates
                    .extend(product(merge, merge).map(|(row, column)| [top * merge + row, left * merge + column]));
            }
        }
    }
    coordinates
}

fn product(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// Cosines and sines of the two-dimensional rotary embedding, each `[patch, head_dim / 2]`, row-major: the first
/// quarter of a head is rotated by the patch's row, the second by its column, each paired with the value half a head
/// on.
pub(super) fn rotary_angles(coordinates: &[[usize; 2]], head_dim: usize) -> (Vec<f32>, Vec<f32>) {
    const THETA: f32 = 10_000.0;
    let frequencies: Vec<f32> = (0..head_dim / 4).map(|i| 1.0 / THETA.powf(4.0 * i as f32 / head_dim as f32)).collect();
    let mut by_position: HashMap<usize, Vec<(f32, f32)>> = HashMap::new();
    let mut cosines = Vec::with_capacity(coordinates.len() * head_dim / 2);
    let mut sines = Vec::with_capacity(coordinates.len() * head_dim / 2);
    for position in coordinates.iter().flatten() {
        let angles = by_position.entry(*position).or_insert_with(|| {
            let angles = frequencies.iter().map(|frequency| *position as f32 * frequency);
            angles.map(f32::sin_cos).collect()
        });
        sines.extend(angles.iter().map(|(sine, _)| sine));
        cosines.extend(angles.iter().map(|(_, cosine)| cosine));
    }
    (cosines, sines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the published code's comments: a grid that no window divides.
    #[test]
    fn windows_of_equal_size_come_together_and_cover_every_unit_once() {
        // 5 × 3 units with windows of 2 × 2: sizes 4, 2 / 4, 2 / 2, 1.
        let arrangement = windows(&[[1, 10, 6]], 2, 2);
        assert_eq!(
            arrangement.runs,
            [Run { groups: 1, units: 1 }, Run { groups: 3, units: 2 }, Run { groups: 2, units: 4 }]
        );
        assert_eq!(arrangement.order, [14, 2, 5, 8, 11, 12, 13, 0, 1, 3, 4, 6, 7, 9, 10]);
    }

    #[test]
    fn small_images_are_one_window_each_and_need_no_reordering() {
        let grids = [[1, 4, 4]; 3];
        let (windows, frames) = (windows(&grids, 2, 4), frames(&grids, 2));
        assert_eq!(windows.runs, [Run { groups: 3, units: 4 }]);
        assert_eq!(windows.indexes_in(&frames), None);
        assert_eq!(windows.indexes_in_reading_order(), None);
    }

    #[test]
    fn going_to_another_arrangement_and_back_changes_nothing() {
        let grids = [[2, 10, 6], [1, 4, 6], [1, 2, 2]];
        let (windows, frames) = (windows(&grids, 2, 2), frames(&grids, 2));
        let there = windows.indexes_in(&frames).expect("the orders differ");
        let moved: Vec<usize> = there.iter().map(|&index| frames.order[index]).collect();
        assert_eq!(moved, windows.order);
        let back = windows.indexes_in_reading_order().expect("windows reorder");
        let restored: Vec<usize> = back.iter().map(|&index| windows.order[index]).collect();
        assert_eq!(restored, (0..restored.len()).collect::<Vec<_>>());
    }

    #[test]
    fn frames_are_ordered_by_size_across_images() {
        let frames = frames(&[[1, 4, 4], [2, 2, 2]], 2);
        assert_eq!(frames.runs, [Run { groups: 2, units: 1 }, Run { groups: 1, units: 4 }]);
        assert_eq!(frames.order, [4, 5, 0, 1, 2, 3]);
    }

    #[test]
    fn patches_are_written_unit_by_unit() {
        let expected = [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3]];
        assert_eq!(coordinates(&[[1, 2, 4]], 2), expected);
    }
}
