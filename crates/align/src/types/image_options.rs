//! What a dialogue says of how one of its images is shown.

use serde::Serialize;

/// The resolution at which a server is asked to look at an image (OpenAI's `image_url.detail`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// As the server chooses.
    Auto,
    /// Small.
    Low,
    /// In full.
    High,
}

/// How one image is shown: the size that it is given before the model's own processor sees it (names and meaning as in
/// qwen-vl-utils' `fetch_image`), and the detail that servers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct ImageOptions {
    /// An image with fewer pixels is enlarged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pixels: Option<u32>,
    /// An image with more pixels is shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u32>,
    /// Its height in pixels, whatever the limits say, where its width is given too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_height: Option<u32>,
    /// Its width in pixels, where its height is given too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_width: Option<u32>,
    /// The resolution at which a server looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}
