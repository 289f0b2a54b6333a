//! Where models run.

use candle_core::Device;

use crate::settings::DeviceChoice;
use crate::usage;

/// Refuses a device this program was not built for.
///
/// # Errors
/// A usage error with the way out.
pub fn check(choice: DeviceChoice) -> anyhow::Result<()> {
    let missing = match choice {
        DeviceChoice::Cuda if !cfg!(feature = "cuda") => "cuda",
        DeviceChoice::Metal if !cfg!(feature = "metal") => "metal",
        _ => return Ok(()),
    };
    Err(usage!(
        "--device {missing}: this squall was built without it; build one with `cargo build --release \
         --features {missing}`, or leave --device out"
    )
    .into())
}

/// The device; for `auto` a graphics processor this program was built for and finds, else the CPU.
///
/// # Errors
/// When the one that was asked for cannot be used.
pub fn open(choice: DeviceChoice) -> anyhow::Result<Device> {
    let asked = match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda => Device::new_cuda(0),
        DeviceChoice::Metal => Device::new_metal(0),
        DeviceChoice::Auto => {
            let found = match (cfg!(feature = "cuda"), cfg!(feature = "metal")) {
                (true, _) => Device::new_cuda(0),
                (_, true) => Device::new_metal(0),
                _ => Ok(Device::Cpu),
            };
            Ok(found.unwrap_or_else(|error| {
                tracing::debug!("no graphics processor: {error}");
                Device::Cpu
            }))
        }
    };
    asked.map_err(|error| anyhow::anyhow!("the device cannot be used ({error}); try --device cpu"))
}
