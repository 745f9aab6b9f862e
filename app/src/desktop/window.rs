//! A window drawn by a GPU through eframe. The device is opened with all that the adapter has, so that it can compute too.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use dinoscope_core::device::Adapter;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};

use winit::error::EventLoopError;
use winit::event_loop::EventLoop;
use winit::platform::run_on_demand::EventLoopExtRunOnDemand as _;

use crate::studio::house::Drawing;
use crate::studio::{Beginning, Stage, Studio};

/// What became of a window.
pub enum Outcome {
    /// It was opened and closed.
    Closed,
    /// The GPU can't draw; something else may.
    NoGpu,
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
        let draws =
            |adapter: &&wgpu::Adapter| surface.is_none_or(|surface| adapter.is_surface_supported(surface));
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
    event_loop: &mut EventLoop<eframe::UserEvent>,
    title: &str,
    size: [f32; 2],
    icon: Option<egui::IconData>,
    adapter: &Adapter,
    beginning: Beginning,
) -> Result<Outcome, EventLoopError> {
    let mut viewport = egui::ViewportBuilder::default()
        .with_title(title)
        .with_app_id("dinoscope")
        .with_inner_size(size)
        .with_min_inner_size(super::MIN_SIZE)
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
    let opened = Rc::new(Cell::new(false));
    let seen = opened.clone();
    let build: eframe::AppCreator<'_> = Box::new(move |cc| {
        seen.set(true);
        let drawing = Drawing { gpu: cc.wgpu_render_state.clone() };
        Ok(Box::new(App { studio: Studio::new(&cc.egui_ctx, drawing, beginning) }))
    });
    // eframe logs why a GPU refuses, and ends; that it made no application is how one can tell.
    let mut app = eframe::create_native(title, options, build, event_loop);
    let ended = event_loop.run_app_on_demand(&mut app);
    match (opened.get(), ended) {
        (false, _) => Ok(Outcome::NoGpu),
        (true, ended) => ended.map(|()| Outcome::Closed),
    }
}
