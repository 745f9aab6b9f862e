//! A screen of its own: an X server that draws into memory, with a home folder for the programs on it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{self, ConnectionExt, CreateWindowAux, EventMask, PropMode, WindowClass};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::keys::Layout;
use super::selection::Offers;
use super::{PATIENCE, poll};

x11rb::atom_manager! {
    /// The names that programs of a desktop talk to each other with.
    pub(super) Atoms:
    /// The server's answers.
    AtomsCookie {
        ATOM,
        CARDINAL,
        UTF8_STRING,
        WM_PROTOCOLS,
        WM_DELETE_WINDOW,
        _NET_WM_NAME,
        _NET_WM_PID,
        CLIPBOARD,
        TARGETS,
        INCR,
        XdndAware,
        XdndSelection,
        XdndEnter,
        XdndPosition,
        XdndStatus,
        XdndLeave,
        XdndDrop,
        XdndFinished,
        XdndActionCopy,
        URI_LIST: b"text/uri-list",
        DINOSCOPE_TEST,
    }
}

/// An X server of the test's own, and the test's connection to it. It ends when this is dropped.
pub struct Display {
    server: Child,
    name: String,
    pub(super) connection: RustConnection,
    pub(super) root: xproto::Window,
    /// A window that nobody sees: the test's end of every conversation with a program.
    pub(super) own: xproto::Window,
    pub(super) atoms: Atoms,
    pub(super) layout: Layout,
    /// The extension that makes events as if they came from a hand.
    pub(super) xtest: u8,
    pub(super) offers: RefCell<Offers>,
    home: TempDir,
}

impl Display {
    /// Starts an X server with a screen of this size and 24 bits a pixel. `None`, with the reason printed, on a
    /// developer's machine without Xvfb; where `CI` is set a missing server is an error.
    ///
    /// # Panics
    /// When the server does not start.
    #[allow(clippy::print_stderr, reason = "a skipped test says so where the test runner looks")]
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty() && ci != "false");
        match Self::try_start(width, height) {
            Ok(Some(display)) => Some(display),
            Ok(None) if ci => panic!("Xvfb is not installed: `cargo xtask test` installs it"),
            Ok(None) => {
                eprintln!("SKIPPED: no Xvfb on the PATH (Debian: xvfb)");
                None
            }
            Err(error) => panic!("an X server for the test: {error:#}"),
        }
    }

    fn try_start(width: u32, height: u32) -> Result<Option<Self>> {
        // 96 dots per inch is a scale factor of 1. Without a client left the server ends by itself, so that a test
        // which is killed leaves none behind.
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-dpi", "96"]);
        command.args(["-nolisten", "tcp", "-terminate", "-s", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = match command.spawn() {
            Ok(server) => server,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("starting Xvfb"),
        };
        // The server writes the number that it chose when it is ready, and closes its output when it gives up.
        let mut number = String::new();
        if let Some(output) = server.stdout.take() {
            BufReader::new(output).read_line(&mut number)?;
        }
        if number.trim().is_empty() {
            bail!("Xvfb ended before it was ready: {}", server.wait()?);
        }
        Self::connect(server, format!(":{}", number.trim())).map(Some)
    }

    fn connect(server: Child, name: String) -> Result<Self> {
        let (connection, screen) = RustConnection::connect(Some(&name))?;
        let setup = connection.setup();
        let screen = setup.roots.get(screen).context("a display without a screen")?;
        let (root, visual) = (screen.root, screen.root_visual);
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let own = connection.generate_id()?;
        // Off the screen, so that it is no window that a person could see or click.
        let seen = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE).override_redirect(1);
        let depth = x11rb::COPY_DEPTH_FROM_PARENT;
        connection.create_window(
            depth,
            own,
            root,
            -10,
            -10,
            1,
            1,
            0,
            WindowClass::INPUT_OUTPUT,
            visual,
            &seen,
        )?;
        let atoms = Atoms::new(&connection)?.reply()?;
        let keyboard = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let per_key = usize::from(keyboard.keysyms_per_keycode);
        let layout = Layout { first, per_key, symbols: keyboard.keysyms };
        let xtest =
            connection.extension_information("XTEST")?.context("the server has no XTEST")?.major_opcode;
        let home = tempfile::tempdir().context("a home folder")?;
        for folder in ["config", "cache", "data", "state"] {
            std::fs::create_dir(home.path().join(folder))?;
        }
        // Only its owner may enter the folder of sockets, or nobody uses it.
        let runtime = home.path().join("runtime");
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(runtime)?;
        let offers = RefCell::default();
        Ok(Self { server, name, connection, root, own, atoms, layout, xtest, offers, home })
    }

    /// The home folder of every program on this display: what one leaves there the next one finds. Configuration is
    /// in `config`, caches in `cache`, data in `data` below it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What a program needs to be on this display and away from the developer's own. What the command sets itself
    /// stays as it is.
    pub(super) fn furnish(&self, command: &mut Command) {
        let home = self.home.path();
        let folders = [
            ("HOME", home.to_path_buf()),
            ("XDG_CONFIG_HOME", home.join("config")),
            ("XDG_CACHE_HOME", home.join("cache")),
            ("XDG_DATA_HOME", home.join("data")),
            ("XDG_STATE_HOME", home.join("state")),
            ("XDG_RUNTIME_DIR", home.join("runtime")),
            ("DISPLAY", self.name.clone().into()),
        ];
        let set: Vec<_> = command.get_envs().map(|(name, _)| name.to_os_string()).collect();
        let new = |name: &str| !set.iter().any(|set| set == name);
        for (name, value) in folders.iter().filter(|(name, _)| new(name)) {
            command.env(name, value);
        }
        let away =
            ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XAUTHORITY", "XMODIFIERS", "DBUS_SESSION_BUS_ADDRESS"];
        for name in away.into_iter().filter(|name| new(name)) {
            command.env_remove(name);
        }
    }

    /// The next event for the test's own window; requests for what it offers are answered on the way.
    pub(super) fn event(&self) -> Result<Option<Event>> {
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::SelectionRequest(request) => self.answer(&request)?,
                Event::SelectionClear(lost) => self.offers.borrow_mut().lose(lost.selection),
                // A window that closed while it was looked at is no fault.
                Event::Error(_) => {}
                other => return Ok(Some(other)),
            }
        }
        Ok(None)
    }

    /// Waits for an event that `wanted` takes; others are passed over.
    pub(super) fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.event()? {
                Some(event) => {
                    if let Some(found) = wanted(&event) {
                        return Ok(found);
                    }
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
        bail!("{what}: nothing came within {PATIENCE:?}")
    }

    /// Lets time pass as a person does; programs that ask for what was offered to them are answered.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            while self.event()?.is_some() {}
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// The server's time now, which requests are stamped with: it comes with the notice of a change.
    pub(super) fn time(&self) -> Result<xproto::Timestamp> {
        let (atom, kind) = (self.atoms.DINOSCOPE_TEST, self.atoms.CARDINAL);
        self.connection.change_property32(PropMode::REPLACE, self.own, atom, kind, &[0])?;
        self.connection.flush()?;
        self.wait_for("the server's time", |event| match event {
            Event::PropertyNotify(notice) if notice.atom == atom => Some(notice.time),
            _ => None,
        })
    }

    /// Sends a message of five numbers to a window, from the test's own.
    pub(super) fn tell(&self, to: xproto::Window, what: xproto::Atom, data: [u32; 5]) -> Result<()> {
        let message = xproto::ClientMessageEvent::new(32, to, what, data);
        self.connection.send_event(false, to, EventMask::NO_EVENT, message)?.check()?;
        Ok(())
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = poll(Duration::from_secs(5), || self.server.try_wait().ok().flatten());
    }
}
