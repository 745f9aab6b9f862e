//! What programs hand to each other on X: one says that it has something, others ask for it when they want it. Both
//! the clipboard and files that are dragged go this way.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt, EventMask, PropMode, SelectionNotifyEvent, SelectionRequestEvent,
};
use x11rb::wrapper::ConnectionExt as _;

use super::display::Display;

/// What the test has for others: for each selection the data in the forms that it can be had in.
#[derive(Default)]
pub struct Offers(HashMap<Atom, Vec<(Atom, Vec<u8>)>>);

impl Offers {
    /// Another program has the selection now.
    #[track_caller]
    pub fn lose(&mut self, selection: Atom) {
        self.0.remove(&selection);
    }
}

impl Display {
    /// Puts a text on the clipboard, as another program would.
    ///
    /// # Panics
    /// When the server does not let it.
    #[track_caller]
    pub fn copy_text(&self, text: &str) {
        self.copy("UTF8_STRING", text.as_bytes());
    }

    /// Puts something on the clipboard, as another program would: a picture is `image/png` with the bytes of a file.
    /// It can be had while the test waits for something or uses a window.
    ///
    /// # Panics
    /// When the server does not let it.
    #[track_caller]
    pub fn copy(&self, form: &str, bytes: &[u8]) {
        let offered = self
            .atom(form)
            .and_then(|form| self.offer(self.atoms.CLIPBOARD, vec![(form, bytes.to_vec())]).map(|_| ()));
        if let Err(error) = offered {
            panic!("putting {form} on the clipboard: {error:#}");
        }
    }

    /// What a program put on the clipboard, in a form that it can be had in, such as `UTF8_STRING` or `image/png`.
    ///
    /// # Panics
    /// When there is nothing on the clipboard that has this form.
    #[track_caller]
    pub fn pasted(&self, form: &str) -> Vec<u8> {
        match self.atom(form).and_then(|form| self.ask(self.atoms.CLIPBOARD, form)) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{form} from the clipboard: {error:#}"),
        }
    }

    fn atom(&self, name: &str) -> Result<Atom> {
        Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    /// Takes a selection, and remembers what to hand out. Gives the time since when.
    pub(super) fn offer(&self, selection: Atom, forms: Vec<(Atom, Vec<u8>)>) -> Result<u32> {
        let time = self.time()?;
        self.connection.set_selection_owner(self.own, selection, time)?.check()?;
        if self.connection.get_selection_owner(selection)?.reply()?.owner != self.own {
            bail!("the selection could not be had");
        }
        self.offers.borrow_mut().0.insert(selection, forms);
        Ok(time)
    }

    /// Hands out what was asked for, or says that it is not there.
    pub(super) fn answer(&self, request: &SelectionRequestEvent) -> Result<()> {
        // Clients from before there were properties for it leave it out.
        let property = if request.property == x11rb::NONE { request.target } else { request.property };
        let offers = self.offers.borrow();
        let forms = offers.0.get(&request.selection).map(Vec::as_slice).unwrap_or_default();
        let given = if request.target == self.atoms.TARGETS && !forms.is_empty() {
            let mut names: Vec<Atom> = forms.iter().map(|(form, _)| *form).collect();
            names.push(self.atoms.TARGETS);
            let to = request.requestor;
            self.connection.change_property32(PropMode::REPLACE, to, property, self.atoms.ATOM, &names)?;
            property
        } else if let Some((form, bytes)) = forms.iter().find(|(form, _)| *form == request.target) {
            self.connection.change_property8(PropMode::REPLACE, request.requestor, property, *form, bytes)?;
            property
        } else {
            x11rb::NONE
        };
        let notice = SelectionNotifyEvent {
            response_type: x11rb::protocol::xproto::SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: given,
        };
        self.connection.send_event(false, request.requestor, EventMask::NO_EVENT, notice)?;
        self.connection.flush()?;
        Ok(())
    }

    /// Asks whoever has a selection for it.
    fn ask(&self, selection: Atom, form: Atom) -> Result<Vec<u8>> {
        let (property, time) = (self.atoms.DINOSCOPE_TEST, self.time()?);
        self.connection.convert_selection(self.own, selection, form, property, time)?;
        self.connection.flush()?;
        let given = self.wait_for("the answer of who has it", |event| match event {
            Event::SelectionNotify(notice) if notice.selection == selection => Some(notice.property),
            _ => None,
        })?;
        if given == x11rb::NONE {
            bail!("there is nothing in this form");
        }
        let any = AtomEnum::ANY;
        let reply = self.connection.get_property(true, self.own, property, any, 0, u32::MAX / 4)?.reply()?;
        if reply.type_ == self.atoms.INCR {
            return self.in_parts();
        }
        Some(reply.value).context("an empty answer")
    }

    /// What is too large for one answer comes in parts: each is there when the one before was deleted, the last is
    /// empty.
    fn in_parts(&self) -> Result<Vec<u8>> {
        let property = self.atoms.DINOSCOPE_TEST;
        let mut all = Vec::new();
        loop {
            self.wait_for("the next part", |event| match event {
                Event::PropertyNotify(notice) if notice.atom == property => {
                    (notice.state == x11rb::protocol::xproto::Property::NEW_VALUE).then_some(())
                }
                _ => None,
            })?;
            let part =
                self.connection.get_property(true, self.own, property, AtomEnum::ANY, 0, u32::MAX / 4)?;
            let part = part.reply()?.value;
            if part.is_empty() {
                return Ok(all);
            }
            all.extend(part);
        }
    }
}
