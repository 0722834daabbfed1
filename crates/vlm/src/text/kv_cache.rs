//! Keys and values of the tokens already seen, so that each further token is computed alone.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::TextConfig;

/// The cache of all layers for a batch of sequences.
///
/// Columns are tokens in the order they were computed. Prompts of unequal length are padded on the right, so that some
/// columns of a row hold padding; they are remembered and masked for good.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    // For each sequence and column, whether a real token stands there.
    occupied: Vec<Vec<bool>>,
}

/// One layer's keys and values, `[b, kv_heads, capacity, head_dim]`.
#[derive(Clone, Debug)]
struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl KvCache {
    /// An empty cache for `b` sequences with room for `capacity` tokens each, padding included.
    pub fn new(config: &TextConfig, b: usize, capacity: usize, device: &Device) -> Self {
        let shape = [b, config.num_key_value_heads, capacity, config.head_dim()];
        let zeros = || Tensor::zeros(shape, device);
        let layers = (0..config.num_hidden_layers)
            .map(|_| LayerCache {
                keys: zeros(),
                values: zeros(),
            })
            .collect();
        Self {
            layers,
            occupied: vec![Vec::new(); b],
        }
    }

    /// How many columns are filled.
    pub fn len(&self) -> usize {
        self.occupied.first().map_or(0, Vec::len)
    }

    /// Whether nothing has been computed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many columns there is room for.
    pub fn capacity(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.keys.dims()[2])
    }

    /// A cache whose row `i` is this one's row `rows[i]`: repeats a prompt for every member of its group, or drops
    /// sequences that have ended.
    #[must_use]
    pub fn select(&self, rows: &[usize], device: &Device) -> Self {
        let indexes: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let indexes = Tensor::<1, Int>::from_data(TensorData::new(indexes, [rows.len()]), device);
        let pick = |tensor: &Tensor<4>| tensor.clone().select(0, indexes.clone());
        let layers = self.layers.iter().map(|layer| LayerCache {
            keys: pick(&layer.keys),
            values: pick(&layer.values),
        });
        Self {
            layers: layers.collect(),
            occupied: rows.iter().map(|row| self.occupied[*row].clone()).collect(),
        }
    }

    /// The same rows with room for `capacity` columns in all.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Self {
        let resize = |tensor: Tensor<4>| {
            let [b, heads, old, head_dim] = tensor.dims();
            let kept = old.min(capacity);
            let kept_columns = tensor.narrow(2, 0, kept);
            if kept == capacity {
                return kept_columns;
            }
            let room = Tensor::zeros([b, heads, capacity - kept, head_dim], &kept_columns.device());
            Tensor::cat(vec![kept_columns, room], 2)
        };
        let layers = self.layers.into_iter();
        let layers = layers.map(|layer| LayerCache {
            keys: resize(layer.keys),
            values: resize(layer.values),
        });
        Self {
            layers: layers.collect(),
            occupied: self.occupied,
        }
    }

    /// The keys and values of each layer, `[b, kv_heads, len, head_dim]`; padding stands where it was computed.
    pub(crate) fn into_layers(self) -> impl Iterator<Item = (Tensor<4>, Tensor<4>)> {
        let len = self.len();
        self.layers
            .into_iter()
            .map(move |layer| (layer.keys.narrow(2, 0, len), layer.values.narrow(2, 0, len)))
    }

    /// Announces `t` further columns of which each row's first `lengths[row]` hold real tokens.
    pub(super) fn extend(&mut self, t: usize, lengths: &[usize]) {
        for (row, length) in self.occupied.iter_mut().zip(lengths) {
            row.extend((0..t).map(|column| column < *length));
        }
    }

    /// Which columns of a row hold real tokens.
    pub(super) fn occupied(&self) -> &[Vec<bool>] {
        &self.occupied
    }

    /// Stores a layer's keys and values for the announced columns and returns those of all columns so far.
    /// Shapes: `[b, kv_heads, t, head_dim]` → `[b, kv_heads, len, head_dim]`.
    pub(super) fn update(&mut self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let len = self.len();
        let layer = &mut self.layers[layer];
        (
            append(&mut layer.keys, keys, len),
            append(&mut layer.values, values, len),
        )
    }
}

fn append(stored: &mut Tensor<4>, new: Tensor<4>, len: usize) -> Tensor<4> {
    let [b, heads, t, head_dim] = new.dims();
    let place = [0..b, 0..heads, len - t..len, 0..head_dim];
    // In place: nobody else holds the buffer while the closure does.
    stored.inplace(|stored| stored.slice_assign(place, new));
    stored.clone().narrow(2, 0, len)
}
