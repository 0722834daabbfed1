//! The type that weights are held and saved in.

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// In which type a model's weights are held in memory and saved; names as in transformers.
///
/// Whatever it is, all computing is in f32: weights of two bytes are converted where they are multiplied. On a device
/// without the type, weights are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightType {
    /// As the checkpoint has them, tensor by tensor.
    #[default]
    Auto,
    /// Four bytes.
    Float32,
    /// Two bytes, of eight bits' precision.
    BFloat16,
    /// Two bytes, of eleven bits' precision, up to 65,504.
    Float16,
}

impl WeightType {
    /// The type of a weight that is stored as `stored`.
    pub(crate) fn of(self, stored: DType) -> DType {
        match self {
            Self::Auto => stored,
            Self::Float32 => DType::F32,
            Self::BFloat16 => DType::BF16,
            Self::Float16 => DType::F16,
        }
    }

    /// Its name in `config.json`; none where the type stays the same.
    pub(crate) fn config_name(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::Float32 => Some("float32"),
            Self::BFloat16 => Some("bfloat16"),
            Self::Float16 => Some("float16"),
        }
    }
}
