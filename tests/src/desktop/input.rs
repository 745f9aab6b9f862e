//! A person's hand: the mouse and the keyboard.
//!
//! Everything goes through the server's XTEST, so that a program gets it from the server as it would from devices.

use std::io::IoSlice;
use std::time::Duration;

use anyhow::Result;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT,
};

use super::display::Display;
use super::keys;
use super::window::Window;

/// A point of a window, in pixels from its upper left corner.
pub type At = (i32, i32);

/// A hand's shortest rest: long enough that a program draws a frame between two movements.
const REST: Duration = Duration::from_millis(60);
/// Between the two clicks of a double click.
const QUICK: Duration = Duration::from_millis(25);

/// A button of the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// The one that clicks.
    Left = 1,
    /// The wheel, pressed.
    Middle = 2,
    /// The one for menus.
    Right = 3,
}

impl Display {
    /// One event of a device: `XTestFakeInput`, written out because x11rb's feature for it would build a second copy
    /// of everything that has to do with windows.
    fn fake(&self, kind: u8, detail: u8, (x, y): At) -> Result<()> {
        const FAKE_INPUT: u8 = 2;
        let mut request = [0; 36];
        request[..2].copy_from_slice(&[self.xtest, FAKE_INPUT]);
        request[2..4].copy_from_slice(&9_u16.to_ne_bytes());
        request[4..6].copy_from_slice(&[kind, detail]);
        request[12..16].copy_from_slice(&self.root.to_ne_bytes());
        request[24..26].copy_from_slice(&i16::try_from(x)?.to_ne_bytes());
        request[26..28].copy_from_slice(&i16::try_from(y)?.to_ne_bytes());
        self.connection.send_request_without_reply(&[IoSlice::new(&request)], Vec::new())?.check()?;
        Ok(())
    }

    /// The pointer to a point of the screen.
    pub(super) fn point(&self, at: At) -> Result<()> {
        self.fake(MOTION_NOTIFY_EVENT, 0, at)
    }

    fn button(&self, button: u8, down: bool) -> Result<()> {
        self.fake(if down { BUTTON_PRESS_EVENT } else { BUTTON_RELEASE_EVENT }, button, (0, 0))
    }

    fn key(&self, key: u8, down: bool) -> Result<()> {
        self.fake(if down { KEY_PRESS_EVENT } else { KEY_RELEASE_EVENT }, key, (0, 0))
    }
}

impl Window<'_> {
    /// Moves the pointer, and lets the program see it there.
    ///
    /// # Panics
    /// When the server does not take it, as everything here.
    #[track_caller]
    pub fn move_to(&self, at: At) {
        self.sure("moving the pointer", self.moved(at));
    }

    fn moved(&self, at: At) -> Result<()> {
        let on_screen = self.on_screen(at)?;
        self.display.point(on_screen)?;
        self.display.pause(REST)
    }

    /// Moves the pointer to the lower right corner of the screen, off every window that does not fill it: nothing is
    /// lit up by it then.
    #[track_caller]
    pub fn move_away(&self) {
        let away = || -> Result<()> {
            let screen = self.display.connection.get_geometry(self.display.root)?.reply()?;
            self.display.point((i32::from(screen.width) - 1, i32::from(screen.height) - 1))?;
            self.display.pause(REST)
        };
        self.sure("moving the pointer", away());
    }

    /// Presses a button where the pointer is, and keeps it down.
    #[track_caller]
    pub fn button_down(&self, button: Button) {
        let pressed = self.display.button(button as u8, true).and_then(|()| self.display.pause(QUICK));
        self.sure("pressing a button", pressed);
    }

    /// Lets a button go.
    #[track_caller]
    pub fn button_up(&self, button: Button) {
        let freed = self.display.button(button as u8, false).and_then(|()| self.display.pause(QUICK));
        self.sure("letting a button go", freed);
    }

    /// Clicks with a button.
    #[track_caller]
    pub fn click_with(&self, button: Button, at: At) {
        self.move_to(at);
        self.button_down(button);
        self.button_up(button);
        self.rest();
    }

    /// Clicks.
    #[track_caller]
    pub fn click(&self, at: At) {
        self.click_with(Button::Left, at);
    }

    /// Clicks twice, quickly.
    #[track_caller]
    pub fn double_click(&self, at: At) {
        self.move_to(at);
        for down in [true, false, true, false] {
            let done = self.display.button(1, down).and_then(|()| self.display.pause(QUICK));
            self.sure("a double click", done);
        }
        self.rest();
    }

    /// Presses at the first point, goes along the others and lets go at the last, with stations on the way as a hand
    /// makes them.
    #[track_caller]
    pub fn drag(&self, path: &[At]) {
        let Some(&start) = path.first() else { return };
        self.move_to(start);
        self.button_down(Button::Left);
        self.go(path);
        self.button_up(Button::Left);
        self.rest();
    }

    /// Goes along a path, whatever is held.
    #[track_caller]
    pub fn go(&self, path: &[At]) {
        const STATIONS: i32 = 6;
        for pair in path.windows(2) {
            let [from, to] = [pair[0], pair[1]];
            for i in 1..=STATIONS {
                let between = |from: i32, to: i32| from + (to - from) * i / STATIONS;
                self.move_to((between(from.0, to.0), between(from.1, to.1)));
            }
        }
    }

    /// Turns the wheel by so many notches: down the page with a positive number, up with a negative one. It is a
    /// wheel of the old kind, made of buttons; winit 0.30 tells its program of two lines for each notch, one for the
    /// press and one for the release.
    #[track_caller]
    pub fn scroll(&self, at: At, notches: i32) {
        self.move_to(at);
        // X's wheel is buttons: 4 is up, 5 is down.
        let button = if notches < 0 { 4 } else { 5 };
        for _ in 0..notches.unsigned_abs() {
            let turned = self.display.button(button, true).and_then(|()| self.display.button(button, false));
            self.sure("turning the wheel", turned.and_then(|()| self.display.pause(QUICK)));
        }
        self.rest();
    }

    /// Presses keys together: `Ctrl+Shift+Z`, `Escape`, `F11`, `a`, `Ctrl+Plus`.
    ///
    /// # Panics
    /// When there is no such key.
    #[track_caller]
    pub fn press(&self, chord: &str) {
        self.holding(chord, || {});
        self.rest();
    }

    /// Does something while keys are held: Ctrl and the wheel.
    ///
    /// # Panics
    /// When there is no such key.
    #[track_caller]
    pub fn holding(&self, chord: &str, work: impl FnOnce()) {
        let symbols = keys::chord(chord);
        let shift = symbols.contains(&keys::SHIFT);
        let mut down = Vec::new();
        for symbol in symbols {
            let (key, shifted) = self.display.layout.find(symbol);
            // A character from the upper half of a key needs Shift, also when nobody wrote it.
            if shifted && !shift {
                down.push(self.display.layout.find(keys::SHIFT).0);
            }
            down.push(key);
        }
        self.focus();
        down.iter().for_each(|key| self.key(*key, true));
        work();
        down.iter().rev().for_each(|key| self.key(*key, false));
    }

    /// Types a text that the US keyboard has keys for.
    ///
    /// # Panics
    /// When it has none for a character.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        self.focus();
        let shift = self.display.layout.find(keys::SHIFT).0;
        for character in text.chars() {
            let (key, shifted) = self.display.layout.find(keys::of_char(character));
            if shifted {
                self.key(shift, true);
            }
            self.key(key, true);
            self.key(key, false);
            if shifted {
                self.key(shift, false);
            }
        }
        self.rest();
    }

    fn key(&self, key: u8, down: bool) {
        let done = self.display.key(key, down).and_then(|()| self.display.pause(Duration::from_millis(8)));
        self.sure("a key", done);
    }

    /// The keyboard belongs to this window: with no window manager nobody else says so.
    pub(super) fn focus(&self) {
        let connection = &self.display.connection;
        let focused = || -> Result<()> {
            if connection.get_input_focus()?.reply()?.focus != self.id {
                let time = x11rb::CURRENT_TIME;
                connection.set_input_focus(InputFocus::PARENT, self.id, time)?.check()?;
                connection.flush()?;
                self.display.pause(REST)?;
            }
            Ok(())
        };
        self.sure("the keyboard's focus", focused());
    }

    /// Lets the program draw what came of it.
    fn rest(&self) {
        self.sure("waiting", self.display.pause(REST));
    }
}
