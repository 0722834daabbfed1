//! The devices this binary can compute on.

use burn::tensor::Device;

/// The devices compiled in, by the name that `--device` takes.
pub const DEVICES: &[&str] = &[
    "flex",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "wgpu")]
    "wgpu",
    #[cfg(feature = "cuda")]
    "cuda",
];

/// The device of that name; none if it is not compiled in.
pub fn open_device(name: &str) -> Option<Device> {
    match name {
        "flex" => Some(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(burn::tensor::DeviceKind::DefaultDevice)),
        _ => None,
    }
}
