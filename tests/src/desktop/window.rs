//! A program with its window: started, looked at, waited for, closed.

use std::cell::{Cell, RefCell};
use std::fmt::Display as Show;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConfigureWindowAux, ConnectionExt, ImageFormat, MapState, Window as Id, WindowClass,
};

use super::display::Display;
use super::input::At;
use super::picture::{Region, colours, differing, save};
use super::{PATIENCE, poll};

/// What a program left: how it ended, and everything that it wrote to its output and its error output.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote.
    pub said: String,
}

/// A program's window on a [`Display`]. Dropped, it takes the program with it.
pub struct Window<'d> {
    pub(super) display: &'d Display,
    pub(super) id: Id,
    name: String,
    program: RefCell<Child>,
    said: Arc<Mutex<String>>,
    listeners: Vec<JoinHandle<()>>,
    closed: Cell<bool>,
}

impl Display {
    /// Starts a program and waits until its window shows something. The name is that of its pictures when the test
    /// fails: say which test it is.
    ///
    /// # Panics
    /// When the program can't be started, ends, or shows nothing.
    #[track_caller]
    pub fn open(&self, name: &str, mut command: Command) -> Window<'_> {
        self.furnish(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = match command.spawn() {
            Ok(program) => program,
            Err(error) => panic!("starting {}: {error}", command.get_program().display()),
        };
        let said = Arc::<Mutex<String>>::default();
        let (out, err) = (program.stdout.take(), program.stderr.take());
        let listeners = [out.map(|pipe| listen(pipe, &said)), err.map(|pipe| listen(pipe, &said))]
            .into_iter()
            .flatten()
            .collect();
        let (name, program, closed) = (name.to_owned(), RefCell::new(program), Cell::new(false));
        let mut window = Window { display: self, id: x11rb::NONE, name, program, said, listeners, closed };
        window.appear();
        window
    }
}

/// Keeps what a program writes, as it comes.
fn listen(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut part) {
            let text = String::from_utf8_lossy(&part[..length]);
            said.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    })
}

impl Window<'_> {
    /// Waits for the window, and until it is more than an empty surface.
    fn appear(&mut self) {
        let found = poll(PATIENCE, || {
            self.insist_that_it_runs();
            self.sure("looking for windows", self.search())
        });
        let Some(found) = found else { panic!("no window within {PATIENCE:?}") };
        self.id = found;
        // The pointer stands in the middle of the screen at first, where it would light something up.
        self.move_away();
        self.focus();
        self.wait_until("something to be drawn", || {
            let picture = self.screenshot();
            colours(&picture, Region::of(&picture)) > 1
        });
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.program.borrow_mut().try_wait().ok().flatten()
    }

    #[track_caller]
    fn insist_that_it_runs(&self) {
        if let Some(status) = self.ended() {
            panic!("the program ended: {status}");
        }
    }

    /// The program's largest window that is on the screen.
    fn search(&self) -> Result<Option<Id>> {
        let connection = &self.display.connection;
        let mut found = None;
        for id in connection.query_tree(self.display.root)?.reply()?.children {
            // A window that is gone again is not the one.
            let Ok(attributes) = connection.get_window_attributes(id)?.reply() else { continue };
            let Ok(geometry) = connection.get_geometry(id)?.reply() else { continue };
            let seen =
                attributes.map_state == MapState::VIEWABLE && attributes.class == WindowClass::INPUT_OUTPUT;
            let owner = self.property(id, self.display.atoms._NET_WM_PID, AtomEnum::CARDINAL.into())?;
            let owner = owner.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
            if seen && owner == Some(self.program.borrow().id()) {
                let area = u32::from(geometry.width) * u32::from(geometry.height);
                found = found.max(Some((area, id)));
            }
        }
        Ok(found.map(|(_, id)| id))
    }

    fn property(&self, id: Id, name: Atom, kind: Atom) -> Result<Vec<u8>> {
        Ok(self.display.connection.get_property(false, id, name, kind, 0, 1024)?.reply()?.value)
    }

    /// The title of the window.
    ///
    /// # Panics
    /// When the window is gone, as everything that asks about it.
    #[track_caller]
    pub fn title(&self) -> String {
        let atoms = &self.display.atoms;
        let title = self.property(self.id, atoms._NET_WM_NAME, atoms.UTF8_STRING);
        String::from_utf8_lossy(&self.sure("the window's title", title)).into_owned()
    }

    /// Width and height in pixels.
    #[track_caller]
    pub fn size(&self) -> (u32, u32) {
        let (_, size) = self.sure("the window's size", self.place());
        size
    }

    /// Makes the window another size, as a person who pulls at its corner, and waits until it is drawn.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let (display, to) = (self.display, ConfigureWindowAux::new().width(width).height(height));
        let resized = || -> Result<()> {
            display.connection.configure_window(self.id, &to)?.check()?;
            Ok(())
        };
        self.sure("another size", resized());
        self.wait_until("the other size", || self.size() == (width, height));
        self.wait_until_still(Region::new(0, 0, width, height));
    }

    /// Where it is on the screen, and how large.
    fn place(&self) -> Result<(At, (u32, u32))> {
        let connection = &self.display.connection;
        let size = connection.get_geometry(self.id)?.reply()?;
        let corner = connection.translate_coordinates(self.id, self.display.root, 0, 0)?.reply()?;
        Ok(((corner.dst_x.into(), corner.dst_y.into()), (size.width.into(), size.height.into())))
    }

    /// A point of the window as one of the screen; one outside the window is a mistake of the test.
    pub(super) fn on_screen(&self, (x, y): At) -> Result<At> {
        let ((left, top), (width, height)) = self.place()?;
        let inside = |at: i32, length: u32| u32::try_from(at).is_ok_and(|at| at < length);
        ensure!(
            inside(x, width) && inside(y, height),
            "({x}, {y}) is outside the window of {width}×{height}"
        );
        Ok((left + x, top + y))
    }

    /// What is to be seen of the window now.
    #[track_caller]
    pub fn screenshot(&self) -> RgbImage {
        self.sure("a picture of the window", self.look())
    }

    fn look(&self) -> Result<RgbImage> {
        let ((left, top), (width, height)) = self.place()?;
        let screen = self.display.connection.get_geometry(self.display.root)?.reply()?;
        let cut =
            |start: i32, length: u32, end: u16| (i32::from(end) - start).min(length.try_into().unwrap_or(0));
        let (width, height) = (cut(left, width, screen.width), cut(top, height, screen.height));
        ensure!(left >= 0 && top >= 0 && width > 0 && height > 0, "the window is not on the screen");
        let (left, top) = (i16::try_from(left)?, i16::try_from(top)?);
        let (columns, rows) = (u16::try_from(width)?, u16::try_from(height)?);
        // From the screen and not from the window, so that it is what a person sees.
        let format = ImageFormat::Z_PIXMAP;
        let root = self.display.root;
        let image = self.display.connection.get_image(format, root, left, top, columns, rows, !0)?.reply()?;
        ensure!(image.depth == 24, "a screen of {} bits", image.depth);
        // Four bytes a pixel: blue, green, red, nothing.
        let rgb = image.data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        RgbImage::from_raw(columns.into(), rows.into(), rgb).context("a picture of another size")
    }

    /// Takes a picture of the window and keeps it as `pictures/NAME.png`.
    #[track_caller]
    pub fn picture(&self, name: &str) -> RgbImage {
        let picture = self.screenshot();
        save(name, &picture);
        picture
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it is not within [`PATIENCE`], or the program ends before.
    #[track_caller]
    pub fn wait_until(&self, what: &str, so: impl FnMut() -> bool) {
        self.wait_at_most(PATIENCE, what, so);
    }

    /// Waits until something is so, for a time of one's own.
    ///
    /// # Panics
    /// When it is not within that time, or the program ends before.
    #[track_caller]
    pub fn wait_at_most(&self, patience: Duration, what: &str, mut so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !so() {
            self.insist_that_it_runs();
            assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
            self.sure("waiting", self.display.pause(Duration::from_millis(50)));
        }
    }

    /// Waits until a region looks unlike it did in a picture, and returns all that is to be seen then. One pixel is
    /// enough, with a channel off by more than 8: leave out where a text cursor blinks.
    ///
    /// # Panics
    /// When it does not change within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_change(&self, before: &RgbImage, region: Region) -> RgbImage {
        let mut now = self.screenshot();
        self.wait_until(&format!("{region:?} to change"), || {
            now = self.screenshot();
            differing(before, &now, region, 8) > 0.0
        });
        now
    }

    /// Waits until nothing in a region has moved for half a second, and returns what is to be seen then.
    ///
    /// # Panics
    /// When it does not come to rest within [`PATIENCE`].
    #[track_caller]
    pub fn wait_until_still(&self, region: Region) -> RgbImage {
        let mut last = self.screenshot();
        let mut since = Instant::now();
        self.wait_until(&format!("{region:?} to come to rest"), || {
            let now = self.screenshot();
            if differing(&last, &now, region, 0) > 0.0 {
                since = Instant::now();
            }
            last = now;
            since.elapsed() > Duration::from_millis(500)
        });
        last
    }

    /// What the program wrote until now.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the program still runs.
    pub fn runs(&self) -> bool {
        self.ended().is_none()
    }

    /// Closes the window as its cross does, and waits for the program to end.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn close(self) -> Ended {
        self.ask_to_close();
        self.end()
    }

    /// Closes the window as its cross does; the program may have a question first.
    #[track_caller]
    pub fn ask_to_close(&self) {
        let atoms = &self.display.atoms;
        let asked = self.display.tell(self.id, atoms.WM_PROTOCOLS, [atoms.WM_DELETE_WINDOW, 0, 0, 0, 0]);
        self.sure("closing the window", asked);
    }

    /// Waits for the program to end by itself, as after its own command to quit.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let status = poll(PATIENCE, || {
            // A program that copied something may be waiting for somebody to take it.
            let _ = self.display.event();
            self.ended()
        });
        let Some(status) = status else { panic!("the program did not end within {PATIENCE:?}") };
        self.closed.set(true);
        // All of it: the pipes close with the program.
        self.listeners.drain(..).for_each(|listener| drop(listener.join()));
        Ended { status, said: self.said() }
    }

    /// The value, or a failed test that says what was being done.
    #[track_caller]
    pub(super) fn sure<T, E: Show>(&self, what: &str, result: Result<T, E>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error:#}"),
        }
    }
}

impl Drop for Window<'_> {
    #[allow(clippy::print_stderr, reason = "what a failed test leaves for whoever reads it")]
    fn drop(&mut self) {
        if thread::panicking() {
            // Whatever fails here, the panic under way says more.
            let seen = self.look().ok().filter(|_| self.id != x11rb::NONE);
            let folder = super::pictures();
            let file = folder.join(format!("{}-failed.png", self.name));
            let saved =
                seen.filter(|seen| std::fs::create_dir_all(&folder).is_ok() && seen.save(&file).is_ok());
            let where_to =
                saved.map_or("no window was to be seen".into(), |_| format!("see {}", file.display()));
            eprintln!("{}: {where_to}; the program wrote:\n{}", self.name, self.said());
        }
        if !self.closed.get() {
            let program = self.program.get_mut();
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}
