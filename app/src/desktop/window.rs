//! A window drawn by a GPU through eframe. The device is opened with all that the adapter has, so that it can compute too.

use std::sync::Arc;

use dinoscope_core::device::Adapter;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};

use crate::studio::house::Drawing;
use crate::studio::{Beginning, Stage, Studio};

/// Why there is no window.
pub enum OpenError {
    /// The GPU can't draw; something else may.
    Gpu(String),
    /// There is no display, or it refuses.
    Other(String),
}

struct App {
    studio: Studio,
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.studio.logic(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.studio.ui(ui);
    }

    fn on_exit(&mut self) {
        self.studio.closed();
    }
}

/// Backends that compute and draw; OpenGL does not compute.
const BACKENDS: wgpu::Backends =
    wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

fn setup(adapter: &Adapter) -> WgpuSetup {
    let wanted = adapter.clone();
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.instance_descriptor.backends = BACKENDS;
    setup.native_adapter_selector = Some(Arc::new(move |adapters, surface| {
        let draws = |adapter: &&wgpu::Adapter| surface.is_none_or(|surface| adapter.is_surface_supported(surface));
        let same = |adapter: &&wgpu::Adapter| wanted.is(&adapter.get_info());
        let found = adapters.iter().filter(draws).find(same).or_else(|| adapters.iter().find(draws));
        found.cloned().ok_or_else(|| "no adapter can draw on this display".to_owned())
    }));
    setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
        label: Some("dinoscope"),
        // Compute takes what there is; mapping everything would only slow buffers down.
        required_features: adapter.features() - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        // SAFETY: experimental features are enabled for compilers that burn chooses, and used by nothing else here.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..Default::default()
    });
    WgpuSetup::CreateNew(setup)
}

/// Opens the window and runs until it is closed.
pub fn run(
    title: &str,
    size: [f32; 2],
    icon: Option<egui::IconData>,
    adapter: &Adapter,
    beginning: Beginning,
) -> Result<(), OpenError> {
    let mut viewport = egui::ViewportBuilder::default()
        .with_title(title)
        .with_app_id("dinoscope")
        .with_inner_size(size)
        .with_min_inner_size([720.0, 480.0])
        .with_drag_and_drop(true);
    if let Some(icon) = icon {
        viewport = viewport.with_icon(icon);
    }
    let wgpu_options = WgpuConfiguration { wgpu_setup: setup(adapter), ..WgpuConfiguration::default() };
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Wgpu,
        wgpu_options,
        ..eframe::NativeOptions::default()
    };
    let build: eframe::AppCreator<'_> = Box::new(move |cc| {
        let drawing = Drawing { gpu: cc.wgpu_render_state.clone() };
        Ok(Box::new(App { studio: Studio::new(&cc.egui_ctx, drawing, beginning) }))
    });
    eframe::run_native(title, options, build).map_err(|error| match error {
        eframe::Error::Wgpu(error) => OpenError::Gpu(error.to_string()),
        other => OpenError::Other(other.to_string()),
    })
}
