//! Files dragged from a file manager: the sending half of XDND, version 5.
//!
//! <https://freedesktop.org/wiki/Specifications/XDND>

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt, EventMask, GrabMode, GrabStatus};

use super::input::At;
use super::window::Window;

const VERSION: u32 = 5;

/// Files that hang on the pointer over a window. Dropped as a value they go back where they came from, as when a
/// person presses Escape.
pub struct FileDrag<'w> {
    window: &'w Window<'w>,
    time: u32,
    over: bool,
}

impl Window<'_> {
    /// Drops files at a point, as from a file manager, and waits until the program has taken them.
    ///
    /// # Panics
    /// When the program takes no files, or does not answer.
    #[track_caller]
    pub fn drop_files(&self, files: &[&Path], at: At) {
        self.drag_files(files, at).let_go();
    }

    /// Brings files over the window and holds them there.
    ///
    /// # Panics
    /// When the program takes no files, or does not answer.
    #[track_caller]
    pub fn drag_files(&self, files: &[&Path], at: At) -> FileDrag<'_> {
        let drag = self.take_up(files);
        let mut drag = self.sure("dragging files", drag);
        drag.move_to(at);
        drag
    }

    fn take_up(&self, files: &[&Path]) -> Result<FileDrag<'_>> {
        let (display, atoms) = (self.display, &self.display.atoms);
        let aware = display.connection.get_property(false, self.id, atoms.XdndAware, AtomEnum::ATOM, 0, 1)?;
        let version = aware.reply()?.value32().and_then(|mut value| value.next()).unwrap_or(0);
        ensure!(
            version >= VERSION,
            "the window says that no files can be dropped on it (XdndAware {version})"
        );
        let list = uri_list(files)?;
        let time = display.offer(atoms.XdndSelection, vec![(atoms.URI_LIST, list)])?;
        // As long as something is dragged its source has the pointer: the program sees no movement.
        let (sync, nothing) = (GrabMode::ASYNC, EventMask::BUTTON_RELEASE);
        let connection = &display.connection;
        let grab = connection.grab_pointer(
            false,
            display.root,
            nothing,
            sync,
            sync,
            x11rb::NONE,
            x11rb::NONE,
            time,
        )?;
        let status = grab.reply()?.status;
        ensure!(status == GrabStatus::SUCCESS, "the pointer can't be had: {status:?}");
        // The version stands in the upper byte; without the lowest bit the three forms are all there are.
        display.tell(self.id, atoms.XdndEnter, [display.own, VERSION << 24, atoms.URI_LIST, 0, 0])?;
        Ok(FileDrag { window: self, time, over: true })
    }
}

impl FileDrag<'_> {
    /// Moves on over the same window.
    ///
    /// # Panics
    /// When the program does not take the files there.
    #[track_caller]
    pub fn move_to(&mut self, at: At) {
        self.window.sure("dragging files", self.hover(at));
    }

    fn hover(&self, at: At) -> Result<()> {
        let (display, atoms) = (self.window.display, &self.window.display.atoms);
        let on_screen = self.window.on_screen(at)?;
        display.point(on_screen)?;
        let packed = u32::try_from(on_screen.0)? << 16 | u32::try_from(on_screen.1)?;
        let copy = atoms.XdndActionCopy;
        display.tell(self.window.id, atoms.XdndPosition, [display.own, 0, packed, self.time, copy])?;
        // The answer comes after the program asked what is dragged, if it did so: that request was served on the way.
        let [_, accepted, ..] = self.reply("XdndStatus", atoms.XdndStatus)?;
        ensure!(accepted & 1 == 1, "the program does not take the files");
        // A program that asked while the files hang there shows what it would do with them.
        display.pause(std::time::Duration::from_millis(100))
    }

    /// Lets the files fall, and waits until the program has taken them.
    ///
    /// # Panics
    /// When the program does not take them.
    #[track_caller]
    pub fn let_go(mut self) {
        self.window.sure("dropping files", self.fall());
    }

    fn fall(&mut self) -> Result<()> {
        let (display, atoms) = (self.window.display, &self.window.display.atoms);
        self.over = false;
        self.ungrab()?;
        display.tell(self.window.id, atoms.XdndDrop, [display.own, 0, self.time, 0, 0])?;
        let [_, accepted, ..] = self.reply("XdndFinished", atoms.XdndFinished)?;
        ensure!(accepted & 1 == 1, "the program did not take the files");
        Ok(())
    }

    fn ungrab(&self) -> Result<()> {
        self.window.display.connection.ungrab_pointer(x11rb::CURRENT_TIME)?;
        Ok(self.window.display.connection.flush()?)
    }

    fn leave(&self) -> Result<()> {
        self.ungrab()?;
        let display = self.window.display;
        display.tell(self.window.id, display.atoms.XdndLeave, [display.own, 0, 0, 0, 0])
    }

    fn reply(&self, what: &str, wanted: u32) -> Result<[u32; 5]> {
        self.window.display.wait_for(what, |event| match event {
            Event::ClientMessage(message) if message.type_ == wanted => Some(message.data.as_data32()),
            _ => None,
        })
    }
}

impl Drop for FileDrag<'_> {
    fn drop(&mut self) {
        if self.over {
            // Nothing is left to be done about a program that is gone.
            let _ = self.leave();
        }
    }
}

/// Files as a file manager names them: `file:///a%20b.png`, each with a line end.
fn uri_list(files: &[&Path]) -> Result<Vec<u8>> {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    let mut list = String::new();
    for file in files {
        let whole: PathBuf = file.canonicalize().with_context(|| format!("dragging {}", file.display()))?;
        list.push_str("file://");
        for byte in whole.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                    list.push(char::from(*byte));
                }
                other => write!(list, "%{other:02X}")?,
            }
        }
        list.push_str("\r\n");
    }
    if list.is_empty() {
        bail!("no files to drag");
    }
    Ok(list.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_uris() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a b.png", "ü%#.jpg"].map(|name| folder.path().join(name));
        names.iter().for_each(|name| std::fs::write(name, "").unwrap());
        let list = uri_list(&[&names[0], &names[1]]).unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let wanted = format!("file://{0}/a%20b.png\r\nfile://{0}/%C3%BC%25%23.jpg\r\n", folder.display());
        assert_eq!(String::from_utf8(list).unwrap(), wanted);
        assert!(uri_list(&[]).is_err() && uri_list(&["/nowhere/at/all".as_ref()]).is_err());
    }
}
