//! The window without a display: for screenshots from the command line and for tests.

use std::time::{Duration, Instant};

use egui::{Context, FullOutput, RawInput, Rect, Theme, ViewportId};
use image::RgbaImage;

use crate::studio::AppFrontend;
use dinoscope_raster::{MAX_TEXTURE_SIDE, Raster};

/// The time between two frames on an ordinary screen.
const FRAME: Duration = Duration::from_nanos(16_666_667);

/// How far away the next repaint must be for a picture to count as settled: a text cursor blinks for ever.
const SOON: Duration = Duration::from_millis(200);

/// What still moves after so much time without work moves for ever: a bar of which nobody knows how long it takes.
const RESTLESS: Duration = Duration::from_secs(3);

/// How long to wait between two looks at whether work is done.
const NAP: Duration = Duration::from_millis(10);

/// A stage that nobody sees.
///
/// Time goes on as it does on the wall, and by a frame with each step at least, so that animations run.
pub struct HeadlessWindow {
    context: Context,
    stage: Box<dyn AppFrontend>,
    raster: Raster,
    size: [f32; 2],
    pixels_per_point: f32,
    theme: Theme,
    time: Duration,
    last_step: Instant,
    /// What the last frame left to be painted.
    output: FullOutput,
}

impl HeadlessWindow {
    /// Sets up a stage on `size` points, each of which is `pixels_per_point` pixels wide and high.
    pub fn new(
        size: [f32; 2],
        pixels_per_point: f32,
        theme: Theme,
        build: impl FnOnce(&Context) -> Box<dyn AppFrontend>,
    ) -> Self {
        let context = Context::default();
        super::software::prepare(&context);
        context.set_theme(theme);
        // Known to the stage from the start, as it is in a window.
        context.input_mut(|input| input.pixels_per_point = pixels_per_point);
        let stage = build(&context);
        Self {
            context,
            stage,
            raster: Raster::new(),
            size,
            pixels_per_point,
            theme,
            time: Duration::ZERO,
            last_step: Instant::now(),
            output: FullOutput::default(),
        }
    }

    /// The context of everything that is shown.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Changes the window's size, in points, from the next step on.
    pub fn resize(&mut self, size: [f32; 2]) {
        self.size = size;
    }

    /// One frame, with what a user did since the last one.
    pub fn step(&mut self, events: Vec<egui::Event>) {
        self.time += self.last_step.elapsed().max(FRAME);
        self.last_step = Instant::now();
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(egui::Pos2::ZERO, self.size.into())),
            max_texture_side: Some(MAX_TEXTURE_SIDE),
            time: Some(self.time.as_secs_f64()),
            system_theme: Some(self.theme),
            events,
            ..RawInput::default()
        };
        if let Some(viewport) = input.viewports.get_mut(&ViewportId::ROOT) {
            viewport.native_pixels_per_point = Some(self.pixels_per_point);
            viewport.focused = Some(true);
        }
        let stage = &mut self.stage;
        let mut output = self.context.run_ui(input, |ui| {
            stage.logic(ui.ctx());
            stage.ui(ui);
        });
        self.raster.update(&output.textures_delta);
        output.textures_delta.clear();
        self.output = output;
    }

    /// What is drawn.
    pub fn stage(&self) -> &dyn AppFrontend {
        self.stage.as_ref()
    }

    /// Steps until the stage is no longer busy and nothing moves, but for what never stands still; false if no work came
    /// further for `timeout`.
    pub fn settle(&mut self, timeout: Duration) -> bool {
        let (mut start, mut progress) = (Instant::now(), self.stage.progress());
        let mut idle_since = self.time;
        loop {
            self.step(Vec::new());
            let busy = self.stage.busy();
            let next = self.next_repaint();
            if busy {
                idle_since = self.time;
            }
            if !busy && (next > SOON || self.time.saturating_sub(idle_since) > RESTLESS) {
                return true;
            }
            if self.stage.progress() != progress {
                (start, progress) = (Instant::now(), self.stage.progress());
            }
            if start.elapsed() >= timeout {
                return false;
            }
            // An animation needs no waiting: each step takes it a frame further.
            if busy || next > Duration::ZERO {
                std::thread::sleep(NAP);
            }
        }
    }

    /// When egui wants to be painted again.
    fn next_repaint(&self) -> Duration {
        // Asked for by another thread since the last frame.
        if self.context.has_requested_repaint() {
            return Duration::ZERO;
        }
        self.output.viewport_output.get(&ViewportId::ROOT).map_or(Duration::MAX, |root| root.repaint_delay)
    }

    /// What the window shows after the last step.
    pub fn screenshot(&mut self) -> RgbaImage {
        if self.output.viewport_output.is_empty() {
            self.step(Vec::new());
        }
        let pixels_per_point = self.output.pixels_per_point;
        let primitives = self.context.tessellate(self.output.shapes.clone(), pixels_per_point);
        let size = self.size.map(|points| (points * self.pixels_per_point).round() as usize);
        let clear = self.context.global_style().visuals.panel_fill;
        self.raster.paint(size, pixels_per_point, &primitives, clear)
    }

    /// Ends as a window does that is closed: the stage saves what is remembered.
    pub fn close(mut self) {
        self.context.on_exit();
        self.stage.closed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// Shows a colour once a thread has brought it.
    struct Late {
        done: Arc<AtomicBool>,
        closed: Arc<AtomicBool>,
    }

    impl AppFrontend for Late {
        fn logic(&mut self, _: &Context) {}

        fn ui(&mut self, ui: &mut egui::Ui) {
            let red = if self.done.load(Ordering::SeqCst) { 200 } else { 0 };
            let all = ui.ctx().content_rect();
            ui.painter().rect_filled(all, 0.0, egui::Color32::from_rgb(red, 100, 50));
        }

        fn busy(&self) -> bool {
            !self.done.load(Ordering::SeqCst)
        }

        fn closed(&mut self) {
            self.closed.store(true, Ordering::SeqCst);
        }
    }

    fn late() -> (HeadlessWindow, Arc<AtomicBool>, Arc<AtomicBool>) {
        let (done, closed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let stage = Late { done: Arc::clone(&done), closed: Arc::clone(&closed) };
        let headless = HeadlessWindow::new([40.0, 30.0], 1.5, Theme::Dark, |_| Box::new(stage));
        (headless, done, closed)
    }

    #[test]
    fn settling_waits_for_work() {
        let (mut headless, done, closed) = late();
        let worker = std::thread::spawn({
            let (done, context) = (Arc::clone(&done), headless.context().clone());
            move || {
                std::thread::sleep(Duration::from_millis(100));
                done.store(true, Ordering::SeqCst);
                context.request_repaint();
            }
        });
        assert!(headless.settle(Duration::from_secs(20)));
        worker.join().expect("the worker");
        let picture = headless.screenshot();
        assert_eq!(picture.dimensions(), (60, 45));
        assert!(picture.pixels().all(|pixel| pixel.0 == [200, 100, 50, 255]));
        headless.close();
        assert!(closed.load(Ordering::SeqCst));
    }

    /// Moves for ever, and comes further as often as it is told to.
    struct Restless {
        busy: bool,
        news: Arc<AtomicU64>,
    }

    impl AppFrontend for Restless {
        fn logic(&mut self, ctx: &Context) {
            ctx.request_repaint();
            let left = self.news.load(Ordering::SeqCst);
            self.news.store(left.saturating_sub(1), Ordering::SeqCst);
        }

        fn ui(&mut self, _: &mut egui::Ui) {}

        fn busy(&self) -> bool {
            self.busy
        }

        fn progress(&self) -> u64 {
            self.news.load(Ordering::SeqCst)
        }

        fn closed(&mut self) {}
    }

    #[test]
    fn what_never_stands_still_is_not_waited_for() {
        let stage = Restless { busy: false, news: Arc::default() };
        let mut window = HeadlessWindow::new([40.0, 30.0], 1.0, Theme::Dark, |_| Box::new(stage));
        assert!(window.settle(Duration::from_secs(600)));
    }

    #[test]
    fn patience_begins_anew_with_each_piece_of_news() {
        // News comes with each of so many frames, which take longer than the patience for one.
        let news = Arc::new(AtomicU64::new(40));
        let stage = Restless { busy: true, news: Arc::clone(&news) };
        let mut window = HeadlessWindow::new([40.0, 30.0], 1.0, Theme::Dark, |_| Box::new(stage));
        assert!(!window.settle(Duration::from_millis(200)), "where none comes any more it ends");
        assert_eq!(news.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn settling_gives_up() {
        let (mut headless, _, _) = late();
        assert!(!headless.settle(Duration::from_millis(50)));
        assert_eq!(headless.screenshot().get_pixel(59, 44).0, [0, 100, 50, 255]);
    }

    /// A button that counts.
    struct Counter(u32);

    impl AppFrontend for Counter {
        fn logic(&mut self, _: &Context) {}

        fn ui(&mut self, ui: &mut egui::Ui) {
            let button = ui.put(Rect::from_min_size([10.0, 10.0].into(), [60.0, 20.0].into()), {
                egui::Button::new("press")
            });
            self.0 += u32::from(button.clicked());
            let red = self.0 as u8;
            ui.painter().rect_filled(Rect::from_x_y_ranges(0.0..=4.0, 0.0..=4.0), 0.0, {
                egui::Color32::from_rgb(red, 0, 0)
            });
        }

        fn busy(&self) -> bool {
            false
        }

        fn closed(&mut self) {}
    }

    #[test]
    fn events_reach_the_stage() {
        let mut headless = HeadlessWindow::new([80.0, 40.0], 1.0, Theme::Light, |_| Box::new(Counter(0)));
        assert!(headless.settle(Duration::from_secs(5)));
        let pos = egui::pos2(40.0, 20.0);
        for pressed in [true, false] {
            let button = egui::PointerButton::Primary;
            let modifiers = egui::Modifiers::NONE;
            headless.step(vec![
                egui::Event::PointerMoved(pos),
                egui::Event::PointerButton { pos, button, pressed, modifiers },
            ]);
        }
        assert!(headless.settle(Duration::from_secs(5)));
        assert_eq!(headless.screenshot().get_pixel(1, 1).0, [1, 0, 0, 255]);
    }
}
