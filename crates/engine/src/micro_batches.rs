//! How a batch is cut into micro-batches.
//!
//! The cut depends on the sequences' lengths alone, never on the number of threads, and sums are taken in its order: so
//! the same batch gives the same bits on any number of cores.

/// A batch is cut into at least about this many micro-batches where it has as many sequences, so that a few cores have
/// work and end together.
const MIN_MICRO_BATCHES: usize = 8;

/// Cuts sequences of these lengths into micro-batches of at most `token_limit` tokens, padding included (a longer
/// sequence is alone). Returns indexes, longest first, so that neighbors pad each other little.
pub fn micro_batches(lengths: &[usize], token_limit: usize) -> Vec<Vec<usize>> {
    let total: usize = lengths.iter().sum();
    let limit = token_limit.min(total.div_ceil(MIN_MICRO_BATCHES));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in longest_first(lengths) {
        match batches.last_mut() {
            Some(batch) if lengths[batch[0]] * (batch.len() + 1) <= limit => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

/// Puts sequences of these lengths end to end in rows of at most `token_limit` tokens (a longer sequence is alone):
/// longest first, each in the first row that it fits in (first-fit decreasing, which needs at most 11/9 of the
/// fewest rows and one more; Johnson 1973). Returns indexes, row by row.
pub fn packed_rows(lengths: &[usize], token_limit: usize) -> Vec<Vec<usize>> {
    let total: usize = lengths.iter().sum();
    let limit = token_limit.min(total.div_ceil(MIN_MICRO_BATCHES));
    let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
    for index in longest_first(lengths) {
        match rows.iter_mut().find(|(filled, _)| filled + lengths[index] <= limit) {
            Some((filled, row)) => {
                *filled += lengths[index];
                row.push(index);
            }
            None => rows.push((lengths[index], vec![index])),
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn longest_first(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(lengths[index]), index));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_in_one_micro_batch_within_the_limit() {
        let lengths = [5, 100, 7, 7, 40, 300, 1];
        let batches = micro_batches(&lengths, 128);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&index| lengths[index]).max().unwrap();
            assert!(batch.len() == 1 || longest * batch.len() <= 128, "{batch:?}");
        }
    }

    #[test]
    fn rows_hold_every_sequence_once_and_little_padding() {
        let lengths: Vec<usize> = (0..200).map(|index| 1 + index * 37 % 101).collect();
        let rows = packed_rows(&lengths, 128);
        let mut seen: Vec<usize> = rows.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        for row in &rows {
            assert!(row.iter().map(|&index| lengths[index]).sum::<usize>() <= 128);
        }
        let fewest = lengths.iter().sum::<usize>().div_ceil(128);
        assert!(rows.len() <= fewest * 11 / 9 + 1, "{} rows, at least {fewest}", rows.len());
        assert_eq!(packed_rows(&[300, 5, 5], 128), [vec![0], vec![1, 2]]);
    }

    #[test]
    fn two_sequences_make_two_micro_batches() {
        assert_eq!(micro_batches(&[10, 10], 1000).len(), 2);
        assert_eq!(micro_batches(&[10], 1000).len(), 1);
    }
}
