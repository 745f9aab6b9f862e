//! A window on machines where nothing draws: egui's triangles are painted by the processor and shown as a picture.
//!
//! What happens when follows eframe, so that a stage sees no difference: a frame only when egui asks for one,
//! none of a hidden window, whose `logic` goes on.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::UserEvent;
use egui::{
    Context, IconData, OrderedViewportIdMap, RawInput, ViewportBuilder, ViewportCommand, ViewportEvent,
};
use egui::{ViewportId, ViewportInfo};
use egui_winit::{ActionRequested, accesskit_winit};
use winit::application::ApplicationHandler;
use winit::event::{DeviceEvent, DeviceId, StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy, OwnedDisplayHandle};
use winit::platform::run_on_demand::EventLoopExtRunOnDemand;
use winit::window::{Window, WindowId};

use crate::studio::AppFrontend;
use crate::studio::app_context::WindowGeometry;
use dinoscope_raster::{MAX_TEXTURE_SIDE, Raster};

/// How often the logic of a hidden window runs at most: some systems would let it turn without a pause.
const HIDDEN_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a frame that was asked for. Wayland does not give any to windows that are covered, and does
/// not say so; the logic runs all the same.
const FRAME_OVERDUE: Duration = Duration::from_millis(250);

/// Why there is no window, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum SoftwareWindowError {
    /// No display, or none that can be spoken to.
    #[error("Could not reach a display: {0}")]
    Display(#[from] winit::error::EventLoopError),
    /// The display has no window for us.
    #[error("Could not open a window: {0}")]
    Window(#[from] winit::error::OsError),
    /// The window takes no pictures.
    #[error("Could not draw in the window: {0}")]
    Surface(#[from] softbuffer::SoftBufferError),
}

/// Opens a window of this size and shows in it what `build` makes, until it is closed.
///
/// The event loop may have served other windows before: a process can have no second one.
///
/// # Errors
/// Without a window, or a way to show pictures in it.
pub fn run_on(
    event_loop: &mut EventLoop<UserEvent>,
    title: &str,
    frame: WindowGeometry,
    icon: Option<IconData>,
    build: impl FnOnce(&Context) -> Box<dyn AppFrontend>,
) -> Result<(), SoftwareWindowError> {
    let mut builder = ViewportBuilder::default()
        .with_title(title)
        .with_app_id(title.to_lowercase())
        .with_inner_size(frame.size);
    if frame.maximised {
        builder = builder.with_maximized(true);
    }
    if let Some(icon) = icon {
        builder = builder.with_icon(icon);
    }
    let mut program = SoftwareApp {
        opening: Some((builder, build)),
        proxy: event_loop.create_proxy(),
        open: None,
        next_frame: None,
        overdue: None,
        error: None,
    };
    event_loop.run_app_on_demand(&mut program)?;
    program.error.map_or(Ok(()), Err)
}

/// Settings that all windows of ours have in common with eframe's.
pub fn prepare(context: &Context) {
    // What changes its mind about its size is laid out again in the same frame.
    context.options_mut(|options| options.max_passes = NonZeroUsize::MIN.saturating_add(1));
    // One window: others are drawn inside it.
    context.set_embed_viewports(true);
}

/// What a frame consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameMode {
    Full,
    LogicOnly,
}

/// When frames happen.
struct SoftwareApp<B> {
    /// Taken when the window opens.
    opening: Option<(ViewportBuilder, B)>,
    proxy: EventLoopProxy<UserEvent>,
    open: Option<SoftwareWindow>,
    next_frame: Option<Instant>,
    /// Set while a frame that was asked for has not come.
    overdue: Option<Instant>,
    error: Option<SoftwareWindowError>,
}

impl<B: FnOnce(&Context) -> Box<dyn AppFrontend>> SoftwareApp<B> {
    /// A frame at `when`, unless there is one earlier.
    fn frame_at(&mut self, when: Instant) {
        self.next_frame = Some(self.next_frame.map_or(when, |next| next.min(when)));
    }

    fn frame(&mut self, event_loop: &ActiveEventLoop, mode: FrameMode) {
        let Some(open) = &mut self.open else { return };
        if let Err(error) = open.frame(event_loop, mode) {
            self.error = Some(error);
            event_loop.exit();
        } else if open.closing {
            event_loop.exit();
        }
    }

    /// Asks for a frame if it is time for one, and says when to wake up next.
    fn schedule(&mut self, event_loop: &ActiveEventLoop) {
        let now = Instant::now();
        if self.next_frame.is_some_and(|when| when <= now) {
            self.next_frame = None;
            if let Some(open) = &self.open {
                if open.is_shown() {
                    open.window.request_redraw();
                    self.overdue.get_or_insert(now + FRAME_OVERDUE);
                } else {
                    // Nobody asks a window that is not shown to draw itself.
                    self.frame(event_loop, FrameMode::Full);
                }
            }
        }
        if self.overdue.is_some_and(|when| when <= now) {
            self.overdue = None;
            self.frame(event_loop, FrameMode::LogicOnly);
        }
        let next = self.next_frame.into_iter().chain(self.overdue).min();
        event_loop.set_control_flow(next.map_or(ControlFlow::Wait, ControlFlow::WaitUntil));
    }
}

impl<B: FnOnce(&Context) -> Box<dyn AppFrontend>> ApplicationHandler<UserEvent> for SoftwareApp<B> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if let Some((builder, build)) = self.opening.take() {
            match SoftwareWindow::new(event_loop, builder, build, &self.proxy) {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    self.error = Some(error);
                    event_loop.exit();
                    return;
                }
            }
        }
        self.frame_at(Instant::now());
        self.schedule(event_loop);
    }

    fn new_events(&mut self, event_loop: &ActiveEventLoop, _: StartCause) {
        self.schedule(event_loop);
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, event: UserEvent) {
        let Some(open) = &mut self.open else { return };
        match event {
            UserEvent::RequestRepaint { when, cumulative_pass_nr: pass, .. } => {
                let now = open.context.cumulative_pass_nr_for(ViewportId::ROOT);
                // Older wishes have been fulfilled.
                if now == pass || now == pass + 1 {
                    let pause = if open.is_shown() { Duration::ZERO } else { HIDDEN_PAUSE };
                    self.frame_at(when.max(Instant::now() + pause));
                }
            }
            UserEvent::AccessKitActionRequest(event) => {
                if open.on_access(event.window_event) {
                    self.frame_at(Instant::now());
                }
            }
        }
        self.schedule(event_loop);
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        if matches!(event, WindowEvent::RedrawRequested) {
            self.overdue = None;
            self.frame(event_loop, FrameMode::Full);
        } else if let Some(open) = &mut self.open
            && open.on_event(&event)
        {
            if cfg!(windows) && matches!(event, WindowEvent::Resized(_)) {
                // While a window is being resized, Windows leaves no other time to draw.
                self.frame(event_loop, FrameMode::Full);
            } else {
                self.frame_at(Instant::now());
            }
        }
        self.schedule(event_loop);
    }

    fn device_event(&mut self, event_loop: &ActiveEventLoop, _: DeviceId, event: DeviceEvent) {
        if let DeviceEvent::MouseMotion { delta } = event
            && let Some(open) = &mut self.open
            && open.input.on_mouse_motion(delta)
        {
            self.frame_at(Instant::now());
            self.schedule(event_loop);
        }
    }

    fn exiting(&mut self, _: &ActiveEventLoop) {
        // Windows go while the event loop still runs, and some systems do not return from it.
        if let Some(mut open) = self.open.take() {
            open.context.on_exit();
            open.stage.closed();
        }
    }
}

/// A window that is open.
struct SoftwareWindow {
    // Dropped in this order: what speaks to the window before the window.
    surface: softbuffer::Surface<OwnedDisplayHandle, Arc<Window>>,
    input: egui_winit::State,
    window: Arc<Window>,
    context: Context,
    stage: Box<dyn AppFrontend>,
    raster: Raster,
    info: ViewportInfo,
    actions: Vec<ActionRequested>,
    /// What came while the window was hidden and no frame could take it.
    held_back: RawInput,
    began: Instant,
    painted_once: bool,
    closing: bool,
}

impl SoftwareWindow {
    fn new(
        event_loop: &ActiveEventLoop,
        builder: ViewportBuilder,
        build: impl FnOnce(&Context) -> Box<dyn AppFrontend>,
        proxy: &EventLoopProxy<UserEvent>,
    ) -> Result<Self, SoftwareWindowError> {
        let context = Context::default();
        prepare(&context);
        // Hidden until the first frame is there: an empty window would flash.
        let builder = fit_to_monitor(event_loop, builder).with_visible(false);
        let window = Arc::new(egui_winit::create_window(&context, event_loop, &builder)?);
        let display = softbuffer::Context::new(event_loop.owned_display_handle())?;
        let surface = softbuffer::Surface::new(&display, Arc::clone(&window))?;

        let mut info = ViewportInfo::default();
        egui_winit::update_viewport_info(&mut info, &context, &window, true);
        let pixels_per_point = egui_winit::pixels_per_point(&context, &window);
        context.input_mut(|input| {
            input.raw.viewports.insert(ViewportId::ROOT, info.clone());
            input.pixels_per_point = pixels_per_point;
        });
        context.set_request_repaint_callback({
            let proxy = proxy.clone();
            move |wish| {
                let wake = UserEvent::RequestRepaint {
                    viewport_id: wish.viewport_id,
                    // Some wishes are for a time beyond all clocks.
                    when: Instant::now() + wish.delay.min(Duration::from_secs(1 << 30)),
                    cumulative_pass_nr: wish.current_cumulative_pass_nr,
                };
                // The event loop may have ended before the thread that wishes.
                let _ended = proxy.send_event(wake);
            }
        });
        let mut input = egui_winit::State::new(
            context.clone(),
            ViewportId::ROOT,
            event_loop,
            Some(window.scale_factor() as f32),
            event_loop.system_theme(),
            Some(MAX_TEXTURE_SIDE),
        );
        input.init_accesskit(event_loop, &window, proxy.clone());
        let stage = build(&context);
        Ok(Self {
            surface,
            input,
            window,
            context,
            stage,
            raster: Raster::new(),
            info,
            actions: Vec::new(),
            held_back: RawInput::default(),
            began: Instant::now(),
            painted_once: false,
            closing: false,
        })
    }

    /// Whether the system asks this window to draw itself.
    fn is_shown(&self) -> bool {
        self.window.is_visible() != Some(false) && self.window.is_minimized() != Some(true)
    }

    /// Takes in what happened to the window; whether a frame is due.
    fn on_event(&mut self, event: &WindowEvent) -> bool {
        match event {
            WindowEvent::Occluded(occluded) => self.info.occluded = Some(*occluded),
            WindowEvent::CloseRequested => self.info.events.push(ViewportEvent::Close),
            _ => {}
        }
        let repaint = self.input.on_window_event(&self.window, event).repaint;
        repaint || matches!(event, WindowEvent::CloseRequested | WindowEvent::Resized(_))
    }

    /// Takes in what a screen reader says; whether a frame is due.
    fn on_access(&mut self, event: accesskit_winit::WindowEvent) -> bool {
        match event {
            accesskit_winit::WindowEvent::InitialTreeRequested => self.context.enable_accesskit(),
            accesskit_winit::WindowEvent::ActionRequested(request) => {
                self.input.on_accesskit_action_request(request);
            }
            accesskit_winit::WindowEvent::AccessibilityDeactivated => {
                self.context.disable_accesskit();
                return false;
            }
        }
        true
    }

    /// One frame: logic, and if anybody sees it, the picture.
    fn frame(&mut self, event_loop: &ActiveEventLoop, mode: FrameMode) -> Result<(), SoftwareWindowError> {
        egui_winit::update_viewport_info(&mut self.info, &self.context, &self.window, false);
        let wanted = self.actions.iter().any(ActionRequested::wants_paint);
        let visible = self.info.visible().unwrap_or(true) || wanted;

        let mut input = std::mem::take(&mut self.held_back);
        input.append(self.input.take_egui_input(&self.window));
        input.time = Some(self.began.elapsed().as_secs_f64());
        input.viewports = std::iter::once((ViewportId::ROOT, self.info.clone())).collect();
        let close = self.info.close_requested();
        self.info.events.clear();

        let commands = if mode == FrameMode::Full && visible {
            self.draw(event_loop, input)?
        } else {
            let stage = &mut self.stage;
            let output = self.context.run_logic(&input, |context| stage.logic(context));
            self.held_back = input;
            self.input.handle_platform_output_with_event_loop(
                &self.window,
                event_loop,
                output.platform_output,
            );
            output.viewport_commands
        };
        let commands: Vec<_> = commands.into_values().flatten().collect();
        self.closing |= close && !commands.contains(&ViewportCommand::CancelClose);
        egui_winit::process_viewport_commands(
            &self.context,
            &mut self.info,
            commands,
            &self.window,
            &mut self.actions,
        );
        Ok(())
    }

    /// Runs the stage and shows its picture; what it wants of the window.
    fn draw(
        &mut self,
        event_loop: &ActiveEventLoop,
        input: RawInput,
    ) -> Result<OrderedViewportIdMap<Vec<ViewportCommand>>, SoftwareWindowError> {
        let stage = &mut self.stage;
        let mut output = self.context.run_ui(input, |ui| {
            stage.logic(ui.ctx());
            stage.ui(ui);
        });
        self.raster.update(&output.textures_delta);
        output.textures_delta.clear();
        self.input.handle_platform_output_with_event_loop(
            &self.window,
            event_loop,
            std::mem::take(&mut output.platform_output),
        );
        let shapes = std::mem::take(&mut output.shapes);
        let primitives = self.context.tessellate(shapes, output.pixels_per_point);
        self.present(&primitives, output.pixels_per_point)?;
        self.act(&primitives, output.pixels_per_point);
        if !self.painted_once {
            self.painted_once = true;
            self.window.set_visible(true);
        }
        let viewports = std::mem::take(&mut output.viewport_output);
        Ok(viewports.into_iter().map(|(id, viewport)| (id, viewport.commands)).collect())
    }

    fn clear_color(&self) -> egui::Color32 {
        self.context.global_style().visuals.panel_fill
    }

    /// Paints the window.
    fn present(
        &mut self,
        primitives: &[egui::ClippedPrimitive],
        pixels_per_point: f32,
    ) -> Result<(), SoftwareWindowError> {
        let size = self.window.inner_size();
        // A minimised window may have no size.
        let (Some(width), Some(height)) = (NonZeroU32::new(size.width), NonZeroU32::new(size.height)) else {
            return Ok(());
        };
        let clear = self.clear_color();
        self.surface.resize(width, height)?;
        let mut pixels = self.surface.buffer_mut()?;
        let size = [size.width as usize, size.height as usize];
        self.raster.paint_window(&mut pixels, size, pixels_per_point, primitives, clear);
        self.window.pre_present_notify();
        Ok(pixels.present()?)
    }

    /// Does what the stage asked for in an earlier frame.
    fn act(&mut self, primitives: &[egui::ClippedPrimitive], pixels_per_point: f32) {
        for action in std::mem::take(&mut self.actions) {
            let event = match action {
                ActionRequested::Screenshot(callback) => {
                    let size = self.window.inner_size();
                    let size = [size.width as usize, size.height as usize];
                    let clear = self.clear_color();
                    let picture = self.raster.paint(size, pixels_per_point, primitives, clear);
                    let picture = egui::ColorImage::from_rgba_premultiplied(size, picture.as_raw());
                    callback.complete(Arc::new(picture));
                    continue;
                }
                ActionRequested::PaintWhileHidden => continue,
                ActionRequested::Cut => Some(egui::Event::Cut),
                ActionRequested::Copy => Some(egui::Event::Copy),
                ActionRequested::Paste => match self.input.clipboard_text() {
                    Some(text) if text.is_empty() => None,
                    Some(text) => Some(egui::Event::Paste(text.replace("\r\n", "\n"))),
                    None => self.input.clipboard_image().map(|i| egui::Event::PasteImage(Arc::new(i))),
                },
            };
            self.input.egui_input_mut().events.extend(event);
        }
    }
}

/// No window may be larger than the largest screen: some systems do not show it, or crash.
fn fit_to_monitor(event_loop: &ActiveEventLoop, builder: ViewportBuilder) -> ViewportBuilder {
    let mut largest = egui::Vec2::ZERO;
    for monitor in event_loop.available_monitors() {
        let size = monitor.size().to_logical::<f32>(monitor.scale_factor());
        largest = largest.max(egui::vec2(size.width, size.height));
    }
    match builder.inner_size {
        Some(size) if largest != egui::Vec2::ZERO => builder.with_inner_size(size.min(largest)),
        _ => builder,
    }
}
