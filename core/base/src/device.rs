//! Which device computes: a GPU through wgpu, or burn's CPU backend.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
#[cfg(not(target_family = "wasm"))]
use burn::tensor::DeviceKind;
use serde::Serialize;

/// What a person may ask for: `auto`, `gpu:N` or `cpu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated one, else the CPU backend. Never a software GPU.
    #[default]
    Auto,
    /// The adapter with this number in [`adapters`]; software GPUs too.
    Gpu(usize),
    /// burn's CPU backend.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(0)),
            _ => match text.strip_prefix("gpu:").map(str::parse) {
                Some(Ok(index)) => Ok(Self::Gpu(index)),
                _ => Err(DeviceError::Name(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Gpu(index) => write!(f, "gpu:{index}"),
            Self::Cpu => f.write_str("cpu"),
        }
    }
}

/// Why a device can't be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The name is none of the known forms.
    #[error("there is no device `{0}`: use auto, gpu, gpu:N (see `dinoscope devices`) or cpu")]
    Name(String),
    /// A device that was opened by something else can't compute.
    #[error("can't compute on {name}, which draws the window: {reason}")]
    Share {
        /// The adapter.
        name: String,
        /// What burn said.
        reason: String,
    },
    /// The browser gives no GPU.
    #[error("WebGPU did not start: {0}")]
    Browser(String),
    /// No adapter has that number.
    #[error("there is no adapter gpu:{index}: this machine has {found}; `dinoscope devices` lists them")]
    Missing {
        /// The number asked for.
        index: usize,
        /// How many there are, in words.
        found: String,
    },
}

/// A GPU, or a program that acts as one.
#[derive(Clone, Debug, Serialize)]
pub struct GpuAdapter {
    /// Number to choose it by: `gpu:N`.
    pub index: usize,
    /// Name the driver gives.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Vulkan, Metal, Dx12 or WebGPU.
    pub backend: String,
    /// Driver and its version, where known.
    pub driver: String,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Largest part of a buffer that a program can bind, in bytes.
    pub max_binding: u64,
    /// Threads of a workgroup.
    pub max_workgroup: u32,
    /// Whether half precision is there.
    pub f16: bool,
    /// Whether subgroup operations are there.
    pub subgroups: bool,
    #[cfg(not(target_family = "wasm"))]
    #[serde(skip)]
    select: Option<DeviceKind>,
}

impl GpuAdapter {
    /// What an adapter says about itself.
    fn describe(adapter: &wgpu::Adapter, kind: &'static str) -> Self {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        Self {
            index: 0,
            name: info.name,
            kind,
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
            max_workgroup: limits.max_compute_invocations_per_workgroup,
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            #[cfg(not(target_family = "wasm"))]
            select: None,
        }
    }

    /// The adapter that a browser has chosen: it does not say of what kind it is, only whether a program acts as one.
    pub fn of_browser(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let said = format!("{} {} {}", info.name, info.driver, info.driver_info).to_lowercase();
        let software = ["swiftshader", "llvmpipe", "software", "warp"].iter().any(|word| said.contains(word));
        let kind =
            if software || info.device_type == wgpu::DeviceType::Cpu { "software" } else { "integrated" };
        let name = if info.name.is_empty() { "GPU".to_owned() } else { info.name };
        Self { name, ..Self::describe(adapter, kind) }
    }

    /// Whether it is a GPU and no program that acts as one.
    pub fn is_hardware(&self) -> bool {
        matches!(self.kind, "discrete" | "integrated" | "virtual")
    }

    /// Whether this is the adapter that something else has opened.
    pub fn is(&self, other: &wgpu::AdapterInfo) -> bool {
        self.name == other.name && self.backend == other.backend.to_string()
    }
}

/// A device that was chosen, with what to tell the person about it.
#[derive(Clone, Debug)]
pub struct SelectedDevice {
    /// Without autodiff.
    pub device: Device,
    /// For logs and titles: `NVIDIA GeForce … (Vulkan)` or `CPU (8 threads)`.
    pub name: String,
    /// A sentence for the person, for instance that there is no GPU.
    pub note: Option<String>,
    /// Whether it is a GPU, or a program that acts as one.
    pub gpu: bool,
}

/// All adapters of this machine, in the order that `gpu:N` counts them.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<GpuAdapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends; // OpenGL is of no use here, and opening it may talk to the display server
    let instance = wgpu::Instance::new(descriptor);
    let found = block_on(instance.enumerate_adapters(backends));
    // burn counts adapters of each kind; the same order here makes the numbers agree.
    let mut seen = [0usize; 3];
    let mut list: Vec<GpuAdapter> = Vec::new();
    for adapter in found {
        let mut next = |slot: usize| {
            seen[slot] += 1;
            seen[slot] - 1
        };
        let (kind, select) = match adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => ("discrete", Some(DeviceKind::DiscreteGpu(next(0)))),
            wgpu::DeviceType::IntegratedGpu => ("integrated", Some(DeviceKind::IntegratedGpu(next(1)))),
            wgpu::DeviceType::VirtualGpu => ("virtual", Some(DeviceKind::VirtualGpu(next(2)))),
            wgpu::DeviceType::Cpu => ("software", Some(DeviceKind::Cpu)),
            wgpu::DeviceType::Other => ("other", None),
        };
        list.push(GpuAdapter { select, ..GpuAdapter::describe(&adapter, kind) });
    }
    let rank = |kind: &str| {
        ["discrete", "integrated", "virtual", "other", "software"].iter().position(|k| *k == kind)
    };
    list.sort_by_key(|a| rank(a.kind));
    list.iter_mut().enumerate().for_each(|(i, a)| a.index = i);
    list
}

/// A page knows no adapter but the one that draws it.
#[cfg(target_family = "wasm")]
pub fn adapters() -> Vec<GpuAdapter> {
    Vec::new()
}

/// Turns a choice into a device.
///
/// # Errors
/// A GPU has to be opened by who draws, or with [`browser_gpu`].
#[cfg(target_family = "wasm")]
pub fn choose(choice: DeviceChoice) -> Result<SelectedDevice, DeviceError> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Auto => Ok(cpu(None)),
        DeviceChoice::Gpu(_) => Err(DeviceError::Browser("this browser offers no GPU".to_owned())),
    }
}

/// Opens the browser's GPU, for instance in a worker, which shares no device with the page.
///
/// # Errors
/// There is no WebGPU, or no adapter.
#[cfg(target_family = "wasm")]
pub async fn browser_gpu() -> Result<SelectedDevice, DeviceError> {
    let opened = Device::wgpu_options().init_with_setup_async().await;
    let (device, setup) = opened.map_err(|error| DeviceError::Browser(error.to_string()))?;
    let adapter = GpuAdapter::of_browser(&setup.adapter);
    Ok(SelectedDevice { device, name: format!("{} (WebGPU)", adapter.name), note: None, gpu: true })
}

/// What the note of a device says where there is a program that acts as a GPU, and nothing better.
pub const SOFTWARE_ONLY: &str = ", only a program that acts as one";

/// Turns a choice into a device.
///
/// # Errors
/// When `gpu:N` does not exist.
#[cfg(not(target_family = "wasm"))]
pub fn choose(choice: DeviceChoice) -> Result<SelectedDevice, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu(None)),
        DeviceChoice::Auto => {
            let list = adapters();
            match list.iter().find(|a| a.is_hardware()) {
                Some(adapter) => Ok(gpu(adapter)),
                None => {
                    let software = list.iter().any(|a| a.kind == "software");
                    let hint = if software { SOFTWARE_ONLY } else { "" };
                    Ok(cpu(Some(format!("No GPU was found{hint}: computing on the CPU."))))
                }
            }
        }
        DeviceChoice::Gpu(index) => {
            let list = adapters();
            match list.get(index) {
                Some(adapter) => Ok(gpu(adapter)),
                None => Err(DeviceError::Missing {
                    index,
                    found: match list.len() {
                        0 => "no usable adapter (is a Vulkan driver installed?)".to_owned(),
                        1 => "one adapter, gpu:0".to_owned(),
                        n => format!("{n} adapters, gpu:0 to gpu:{}", n - 1),
                    },
                }),
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn gpu(adapter: &GpuAdapter) -> SelectedDevice {
    let name = format!("{} ({})", adapter.name, adapter.backend);
    let kind = adapter.select.clone().unwrap_or(DeviceKind::DefaultDevice);
    SelectedDevice { device: Device::wgpu(kind), name, note: None, gpu: true }
}

/// A GPU that something else has opened already, usually to draw with it: its buffers can then be drawn as they are.
///
/// Each device can be handed over once.
///
/// # Errors
/// When burn can't compute on it.
pub fn shared(
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
) -> Result<SelectedDevice, DeviceError> {
    let info = adapter.get_info();
    let name = match info.name.as_str() {
        // Browsers may keep it to themselves.
        "" => "GPU (WebGPU)".to_owned(),
        name => format!("{name} ({})", info.backend),
    };
    let setup = cubecl::wgpu::WgpuSetup { instance, adapter, device, queue, backend: info.backend };
    let device = Device::wgpu_options().setup(setup).init();
    let device =
        device.map_err(|error| DeviceError::Share { name: name.clone(), reason: error.to_string() })?;
    Ok(SelectedDevice { device, name, note: None, gpu: true })
}

/// What a panic said.
pub fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "no reason was given".to_owned())
}

/// burn's CPU backend.
pub fn cpu(note: Option<String>) -> SelectedDevice {
    keep_memory();
    let threads = crate::parallel::cores();
    let plural = if threads == 1 { "" } else { "s" };
    let name = match cfg!(target_family = "wasm") {
        true => "CPU (WebAssembly)".to_owned(),
        false => format!("CPU ({threads} thread{plural})"),
    };
    SelectedDevice { device: Device::flex(), name, note, gpu: false }
}

/// Asks the C library to keep the memory that tensors give back.
///
/// By default it returns every large buffer to the system at once, and each new one comes back as pages that fault
/// and are cleared when they are first written: 7 % of a training step.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: these calls set numbers in the allocator, under its own lock.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        });
    }
}

/// Runs a future to its end on this thread: the desktop's edge, where reading device memory may block.
#[cfg(not(target_family = "wasm"))]
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    struct ThreadWaker(std::thread::Thread);
    impl Wake for ThreadWaker {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["auto", "cpu", "gpu:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("gpu".parse::<DeviceChoice>().unwrap(), DeviceChoice::Gpu(0));
        assert!("cuda".parse::<DeviceChoice>().unwrap_err().to_string().contains("gpu:N"));
        assert!("gpu:x".parse::<DeviceChoice>().is_err());
    }
}
