//! A window drawn by a GPU through eframe. The device is opened with all that the adapter has, so that it can compute too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

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
    /// The GPU went away while it drew; this is how to go on.
    Lost(Box<Beginning>),
}

struct App {
    studio: Studio,
    lost: Rc<RefCell<Option<Box<Beginning>>>>,
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.studio.logic(ctx);
        if let Some(reason) = self.studio.lost() {
            ::log::error!("the GPU that draws is gone: {reason}");
            let note = format!("The GPU was lost ({reason}). The processor goes on; a run was saved and can go on too.");
            *self.lost.borrow_mut() = Some(Box::new(self.studio.hand_over(note)));
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
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
    let lost = Rc::new(RefCell::new(None));
    let handed_over = lost.clone();
    let build: eframe::AppCreator<'_> = Box::new(move |cc| {
        seen.set(true);
        let gone = Arc::new(Mutex::new(None));
        if let Some(state) = &cc.wgpu_render_state {
            watch_over(&state.device, &gone, &cc.egui_ctx);
        }
        let drawing = Drawing { gpu: cc.wgpu_render_state.clone(), lost: Some(gone) };
        let studio = Studio::new(&cc.egui_ctx, drawing, beginning);
        Ok(Box::new(App { studio, lost: handed_over }))
    });
    // eframe logs why a GPU refuses, and ends; that it made no application is how one can tell.
    let mut app = eframe::create_native(title, options, build, event_loop);
    let ended = event_loop.run_app_on_demand(&mut app);
    drop(app);
    match (opened.get(), lost.take()) {
        (false, _) => Ok(Outcome::NoGpu),
        (true, Some(beginning)) => Ok(Outcome::Lost(beginning)),
        (true, None) => ended.map(|()| Outcome::Closed),
    }
}

/// Says in `gone` when the device is lost, and logs errors that wgpu would otherwise end the program with.
fn watch_over(device: &wgpu::Device, gone: &Arc<Mutex<Option<String>>>, ctx: &egui::Context) {
    let (gone, ctx) = (gone.clone(), ctx.clone());
    device.set_device_lost_callback(move |_, message| {
        if let Ok(mut gone) = gone.lock() {
            *gone = Some(if message.is_empty() { "no reason was given".to_owned() } else { message });
        }
        ctx.request_repaint();
    });
    device.on_uncaptured_error(Arc::new(|error| ::log::error!("drawing: {error}")));
}
