//! A window drawn by a GPU through eframe. The device is opened with all that the adapter has, so that it can compute too.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use dinoscope_core::device::{self, GpuAdapter};
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew};

use winit::error::EventLoopError;
use winit::event_loop::EventLoop;
use winit::platform::run_on_demand::EventLoopExtRunOnDemand as _;

use crate::studio::app_context::{RenderBackend, WindowGeometry};
use crate::studio::{AppFrontend, StartupOptions, StudioApp};

/// What became of a window.
pub enum WindowOutcome {
    /// It was opened and closed.
    Closed,
    /// The GPU can't draw; something else may.
    NoGpu,
    /// The GPU went away while it drew; this is how to go on.
    Lost(Box<StartupOptions>),
}

/// The studio outlives what draws it: a driver that fails takes the application with it.
type Shared = Rc<RefCell<Option<StudioApp>>>;

struct DesktopApp {
    studio: Shared,
    /// Whether the studio's own code runs just now, and not what draws it.
    inside: Rc<Cell<bool>>,
}

/// Set when the GPU is gone.
type Gone = Arc<Mutex<Option<String>>>;

impl eframe::App for DesktopApp {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.inside.set(true);
        if let Some(studio) = self.studio.borrow_mut().as_mut() {
            studio.logic(ctx);
            if studio.is_lost() {
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
        }
        self.inside.set(false);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.inside.set(true);
        if let Some(studio) = self.studio.borrow_mut().as_mut() {
            studio.ui(ui);
        }
        self.inside.set(false);
    }
}

/// Backends that compute and draw; OpenGL does not compute.
const BACKENDS: wgpu::Backends =
    wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

fn setup(adapter: &GpuAdapter) -> WgpuSetup {
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
    frame: WindowGeometry,
    icon: Option<egui::IconData>,
    adapter: &GpuAdapter,
    startup: StartupOptions,
) -> Result<WindowOutcome, EventLoopError> {
    let mut viewport = egui::ViewportBuilder::default()
        .with_title(title)
        .with_app_id("dinoscope")
        .with_inner_size(frame.size)
        .with_maximized(frame.maximised)
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
    let studio = Shared::default();
    let (shared, gone) = (studio.clone(), Gone::default());
    let lost = gone.clone();
    let inside = Rc::new(Cell::new(false));
    let ours = inside.clone();
    let build: eframe::AppCreator<'_> = Box::new(move |cc| {
        if let Some(state) = &cc.wgpu_render_state {
            watch_over(&state.device, &lost, &cc.egui_ctx);
        }
        let drawing = RenderBackend { gpu: cc.wgpu_render_state.clone(), lost: Some(lost) };
        *shared.borrow_mut() = Some(StudioApp::new(&cc.egui_ctx, drawing, startup));
        Ok(Box::new(DesktopApp { studio: shared, inside }))
    });
    // eframe logs why a GPU refuses, and ends; that it made no studio is how one can tell.
    let mut app = eframe::create_native(title, options, build, event_loop);
    // egui panics in the middle of a frame when the device under it is lost.
    let ended = catch_unwind(AssertUnwindSafe(|| event_loop.run_app_on_demand(&mut app)));
    drop(app);
    let Some(mut studio) = studio.take() else { return Ok(WindowOutcome::NoGpu) };
    let said = gone.lock().ok().and_then(|gone| gone.clone());
    let outcome = match (said, ended) {
        (None, Ok(ended)) => ended.map(|()| WindowOutcome::Closed),
        (None, Err(panic)) if ours.get() => {
            studio.closed();
            resume_unwind(panic)
        }
        (said, ended) => {
            let reason = said.unwrap_or_else(|| "its driver failed".to_owned());
            let panic = ended.err().map(device::panic_text).unwrap_or_default();
            ::log::error!("the GPU can't draw any more: {reason} {panic}");
            let note = format!(
                "The GPU can't draw any more ({reason}). The processor goes on; a run was saved and can go on too."
            );
            Ok(WindowOutcome::Lost(Box::new(studio.hand_over(note))))
        }
    };
    studio.closed();
    outcome
}

/// Says in `gone` when the device is lost, and logs errors that wgpu would otherwise end the program with.
fn watch_over(device: &wgpu::Device, gone: &Gone, ctx: &egui::Context) {
    let (gone, ctx) = (gone.clone(), ctx.clone());
    device.set_device_lost_callback(move |_, message| {
        if let Ok(mut gone) = gone.lock() {
            *gone = Some(if message.is_empty() { "no reason was given".to_owned() } else { message });
        }
        ctx.request_repaint();
    });
    device.on_uncaptured_error(Arc::new(|error| ::log::error!("drawing: {error}")));
}
