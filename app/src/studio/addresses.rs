//! Pictures, weights and runs that an address names: fetched beside the frames, and opened once they are here.

use std::path::{Path, PathBuf};

use async_channel::{Receiver, Sender};

use super::explore::is_weights;
use crate::platform::model_address::last;
use crate::platform::network;
use crate::platform::tasks::{self, Wake};

/// What becomes of an address.
pub enum AddressEvent {
    /// It names weights: whoever opens models fetches them.
    Weights(String),
    /// What it names is in this file.
    Here(PathBuf),
    /// There is trouble on the way, which is waited for.
    Note(String),
    /// It can't be had, and why.
    Failed(String),
}

/// Opens what addresses name.
pub struct AddressOpener {
    out: Sender<AddressEvent>,
    events: Receiver<AddressEvent>,
    wake: Wake,
}

impl AddressOpener {
    /// `wake` is called when there is news.
    pub fn new(wake: Wake) -> Self {
        let (out, events) = async_channel::unbounded();
        Self { out, events, wake }
    }

    /// Fetches what lies at an address.
    pub fn open(&self, address: &str) {
        let (address, out, wake) = (address.to_owned(), self.out.clone(), self.wake.clone());
        // Nobody opens anything any more: then nobody misses it.
        let say = move |event| {
            let _ = out.try_send(event);
            wake();
        };
        if is_weights(Path::new(last(&address))) {
            return say(AddressEvent::Weights(address));
        }
        let refused = say.clone();
        let fetch = async move || {
            let note = say.clone();
            let fetched = network::fetch_file(&address, move |text| note(AddressEvent::Note(text))).await;
            say(fetched.map_or_else(AddressEvent::Failed, AddressEvent::Here));
        };
        if let Err(reason) = tasks::spawn_task("fetch", fetch) {
            refused(AddressEvent::Failed(reason));
        }
    }

    /// What became of one, next.
    pub fn next_event(&self) -> Option<AddressEvent> {
        self.events.try_recv().ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn weights_are_left_to_who_opens_models_and_files_to_the_platform() {
        let opener = AddressOpener::new(Arc::new(|| ()));
        opener.open("https://example.org/a/model.safetensors?download=1");
        assert!(
            matches!(opener.next_event(), Some(AddressEvent::Weights(address)) if address.contains("/a/"))
        );
        opener.open("https://example.org/cat.jpg");
        let event = opener.events.recv_blocking().unwrap();
        assert!(matches!(event, AddressEvent::Failed(reason) if reason.contains("cat.jpg")));
    }
}
