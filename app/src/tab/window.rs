//! The studio on a canvas: through eframe, with WebGPU where the browser has it, else with WebGL.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use dinoscope_core::device::DeviceChoice;
use dinoscope_core::files as memory;
use eframe::egui_wgpu::{WgpuSetup, WgpuSetupCreateNew};
use serde::Deserialize;
use web_sys::HtmlCanvasElement;

use super::{address, edges, inspect};
use crate::log_ring;
use crate::platform::storage;
use crate::platform::web::host::{self, Host};
use crate::platform::web::{dialogs, tasks};
use crate::studio::app_context::RenderBackend;
use crate::studio::{AppFrontend as _, StartupOptions, StudioApp, touch, url_state};

/// What an address asks for: `?image=…&weights=…&view=pca`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UrlQuery {
    /// Addresses of pictures.
    pub image: Vec<String>,
    /// Address of weights, the name of a released model, or `starter`.
    pub weights: Option<String>,
    /// The same of a second model to compare with.
    pub against: Option<String>,
    /// `pca`, `attention`, `similarity` or `match`; also a workspace.
    pub view: Option<String>,
    /// `explore`, `train` or `evaluate`.
    pub workspace: Option<String>,
    /// `auto`, `gpu` or `cpu`.
    pub device: Option<String>,
    /// Fingers work the page.
    pub touch: bool,
}

thread_local! {
    /// The studio outlives what draws it: a GPU may go away.
    static STUDIO: RefCell<Option<StudioApp>> = const { RefCell::new(None) };
    static CONTEXT: RefCell<Option<egui::Context>> = const { RefCell::new(None) };
    /// What the browser's tab was last called.
    static TITLE: RefCell<String> = const { RefCell::new(String::new()) };
    /// Where the picture lies that two fingers enlarge: left, top, right, bottom, in points.
    static PICTURE: Cell<Option<[i32; 4]>> = const { Cell::new(None) };
    static RUNNER: RefCell<Option<eframe::WebRunner>> = const { RefCell::new(None) };
}

/// Asks the studio something; nothing while there is none.
pub fn ask<T>(question: impl FnOnce(&mut StudioApp) -> T) -> Option<T> {
    STUDIO.with(|held| held.try_borrow_mut().ok()?.as_mut().map(question))
}

/// Does something with the studio, from an event of the page, and draws it again.
pub fn with(act: impl FnOnce(&mut StudioApp)) {
    ask(act);
    // Also while no frames are drawn, as in a hidden tab.
    name_tab();
    if let Some(ctx) = context() {
        ctx.request_repaint();
    }
}

/// Has the browser's tab say how a run stands.
fn name_tab() {
    let (Some(title), Some(host)) = (ask(|studio| studio.title()), host::get()) else { return };
    if TITLE.with_borrow(|last| *last != title) {
        host.set_title(&title);
        TITLE.set(title);
    }
}

/// What egui keeps.
pub fn context() -> Option<egui::Context> {
    CONTEXT.with_borrow(Clone::clone)
}

struct WebApp {
    /// What the browser keeps of the settings.
    kept: String,
    /// When that was compared last, in seconds.
    compared: f64,
    catch_panic: bool,
    leaving: Rc<Cell<bool>>,
}

/// Between two looks at the settings, in seconds.
const COMPARE: f64 = 2.0;

impl eframe::App for WebApp {
    fn raw_input_hook(&mut self, _: &egui::Context, input: &mut egui::RawInput) {
        input.events.extend(inspect::asked());
    }

    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        let mut lost = false;
        let mut going = false;
        STUDIO.with_borrow_mut(|studio| {
            if let Some(studio) = studio.as_mut() {
                studio.logic(ctx);
                (lost, going) = (studio.is_lost(), studio.train().is_going());
                let place = studio.place();
                let explores = place.workspace == "explore";
                PICTURE.set(studio.explore().snapshot().place.filter(|_| explores));
                address::follow(place, studio.explore().opens());
            }
        });
        dialogs::hand_over_written();
        name_tab();
        if going != self.catch_panic
            && let Some(host) = host::get()
        {
            self.catch_panic = going;
            host.guard(going);
        }
        let now = ctx.input(|input| input.time);
        if now - self.compared > COMPARE {
            self.compared = now;
            self.keep();
        }
        if lost && !self.leaving.replace(true) {
            tasks::spawn(again());
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        edges::before(ui);
        STUDIO.with_borrow_mut(|studio| {
            if let Some(studio) = studio.as_mut() {
                studio.ui(ui);
            }
        });
        edges::behind(ui);
    }
}

impl WebApp {
    /// Lets the browser keep what is to be remembered.
    fn keep(&mut self) {
        STUDIO.with_borrow_mut(|studio| {
            if let Some(studio) = studio.as_mut() {
                studio.remember();
            }
        });
        let text = storage::settings_file().and_then(|path| memory::read_to_string(path).ok());
        if let (Some(text), Some(host)) = (text, host::get())
            && text != self.kept
        {
            host.keep(&text);
            self.kept = text;
        }
    }
}

/// Whether a pointer's event is the studio's alone. Beside the picture two fingers enlarge the page, as everywhere.
fn keeps(event: &egui::Event) -> bool {
    let (egui::Event::PointerButton { pos, .. } | egui::Event::PointerMoved(pos)) = event else {
        return true;
    };
    let fingers = context().is_some_and(|ctx| touch::is(&ctx));
    let inside = |[left, top, right, bottom]: [i32; 4]| {
        (left..right).contains(&(pos.x as i32)) && (top..bottom).contains(&(pos.y as i32))
    };
    !fingers || PICTURE.get().is_some_and(inside)
}

/// Everything that the adapter has: what draws also computes.
fn setup() -> WgpuSetup {
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.instance_descriptor.backends = wgpu::Backends::BROWSER_WEBGPU;
    setup.power_preference = wgpu::PowerPreference::HighPerformance;
    setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
        label: Some("dinoscope"),
        required_features: adapter.features(),
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    });
    WgpuSetup::CreateNew(setup)
}

/// How the studio begins, and what of the address is not understood.
fn startup(wishes: &UrlQuery) -> (StartupOptions, Vec<String>) {
    let mut doubts = Vec::new();
    let view = wishes.view.as_deref().unwrap_or_default();
    let at = wishes.workspace.as_deref().unwrap_or_default();
    let panel = url_state::view(view);
    // Workspaces were views once, and are still found there.
    let workspace = url_state::workspace(at).or_else(|| url_state::workspace(view));
    let mut doubt = |name: &str, value: &str, known: &str| {
        doubts.push(format!("The address asks for {name}={value}, which is none. There are {known}."));
    };
    if !view.is_empty() && panel.is_none() && url_state::workspace(view).is_none() {
        doubt("view", view, &url_state::names());
    }
    if !at.is_empty() && url_state::workspace(at).is_none() {
        doubt("workspace", at, "explore, train, evaluate");
    }
    let device = wishes.device.as_deref().filter(|name| !name.is_empty());
    let chosen = device.and_then(|name| name.parse().ok());
    if let (Some(name), None) = (device, chosen) {
        doubt("device", name, "auto, gpu, cpu");
    }
    let startup = StartupOptions {
        device: chosen,
        weights: wishes.weights.as_deref().map(url_state::of_address),
        against: wishes.against.as_deref().map(url_state::of_address),
        panel,
        workspace: workspace.unwrap_or_default(),
        ..StartupOptions::default()
    };
    (startup, doubts)
}

/// Draws the studio on a canvas, with the GPU if `webgpu`.
///
/// # Errors
/// The canvas can't be drawn on that way.
pub async fn start(
    host: Host,
    canvas: HtmlCanvasElement,
    wishes: UrlQuery,
    webgpu: bool,
) -> Result<(), String> {
    if let (Some(text), Some(path)) = (host.kept(), storage::settings_file()) {
        let folder = path.parent().map_or(Ok(()), memory::create_dir_all);
        if let Err(error) = folder.and_then(|()| memory::write(&path, text.as_bytes())) {
            ::log::warn!("the settings can't be read: {error}");
        }
    }
    host::set(host);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        if let Some(host) = host::get() {
            host.stopped(&format!("The studio has come to a stop, which is a fault of this program: {info}"));
        }
    }));
    log_ring::listen();
    let (startup, doubts) = startup(&wishes);
    draw(canvas, startup, webgpu).await?;
    if let Some(ctx) = context() {
        touch::set(&ctx, wishes.touch);
    }
    with(|studio| doubts.into_iter().for_each(|doubt| studio.show_warning(doubt)));
    with(|studio| wishes.image.iter().for_each(|address| studio.open_address(address)));
    Ok(())
}

async fn draw(canvas: HtmlCanvasElement, startup: StartupOptions, webgpu: bool) -> Result<(), String> {
    let mut options = eframe::WebOptions {
        renderer: if webgpu { eframe::Renderer::Wgpu } else { eframe::Renderer::Glow },
        // Colours are data here: none is changed to make another look smoother.
        dithering: false,
        should_prevent_default: Box::new(keeps),
        ..eframe::WebOptions::default()
    };
    options.wgpu_options.wgpu_setup = setup();
    let runner = eframe::WebRunner::new();
    let build: eframe::AppCreator<'static> = Box::new(move |cc| {
        inspect::install(&cc.egui_ctx);
        let drawing = RenderBackend { gpu: cc.wgpu_render_state.clone(), lost: Some(watch_over(cc)) };
        let studio = StudioApp::new(&cc.egui_ctx, drawing, startup);
        CONTEXT.set(Some(cc.egui_ctx.clone()));
        STUDIO.set(Some(studio));
        Ok(Box::new(WebApp {
            kept: String::new(),
            compared: 0.0,
            catch_panic: false,
            leaving: Rc::default(),
        }))
    });
    let started = runner.start(canvas, options, build).await;
    started.map_err(|thrown| host::words(&thrown))?;
    RUNNER.set(Some(runner));
    Ok(())
}

/// Says where the GPU is lost, and logs errors.
fn watch_over(cc: &eframe::CreationContext<'_>) -> Arc<Mutex<Option<String>>> {
    let gone = Arc::new(Mutex::new(None));
    if let Some(state) = &cc.wgpu_render_state {
        let (lost, ctx) = (gone.clone(), cc.egui_ctx.clone());
        state.device.set_device_lost_callback(move |_, message| {
            if let Ok(mut lost) = lost.lock() {
                *lost = Some(if message.is_empty() { "no reason was given".to_owned() } else { message });
            }
            ctx.request_repaint();
        });
        state.device.on_uncaptured_error(Arc::new(|error| ::log::error!("drawing: {error}")));
    }
    gone
}

/// Goes on without the GPU: on a fresh canvas, with the same pictures, model and run.
async fn again() {
    tasks::turn().await;
    let Some(studio) = STUDIO.take() else { return };
    let reason = studio.lost_reason().unwrap_or_else(|| "no reason was given".to_owned());
    let note = format!(
        "The GPU can't be used any more ({reason}). The CPU goes on; a run was saved and can go on too. \
         Reload the page to try the GPU again."
    );
    let startup = StartupOptions { device: Some(DeviceChoice::Cpu), ..studio.hand_over(note) };
    drop(studio);
    if let Some(runner) = RUNNER.take() {
        runner.destroy();
    }
    let Some(host) = host::get() else { return };
    if let Err(error) = draw(host.fresh_canvas(), startup, false).await {
        host.stopped(&format!(
            "The GPU can't be used any more ({reason}), and WebGL does not start: {error}"
        ));
    }
}
