//! Who looks for an explorer: a model on a device of this thread, or somebody elsewhere.

#[cfg(target_family = "wasm")]
use std::rc::Rc;

#[cfg(target_family = "wasm")]
use super::eye::Remote;
use super::eye::{Eye, RemoteModel};
use super::{ModelSource, Seen, Way};
use crate::data::Picture;
use crate::device::Chosen;

/// Who looks. Errors are for the person.
pub(super) enum Looks {
    /// This thread.
    Here {
        /// What computes.
        device: Chosen,
        /// Whether patch tokens stay in its buffers.
        keep_on_device: bool,
        /// The model, once there is one.
        eye: Option<Eye>,
    },
    /// Somebody who is asked.
    #[cfg(target_family = "wasm")]
    Elsewhere {
        /// What errors call them.
        name: String,
        /// How to ask.
        remote: Rc<dyn Remote>,
    },
}

impl Looks {
    /// This thread, still without a model.
    pub fn here(device: Chosen, keep_on_device: bool) -> Self {
        Self::Here { device, keep_on_device, eye: None }
    }

    /// Takes a model; the one before stays where that fails.
    pub async fn open(
        &mut self,
        source: &ModelSource,
        progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
    ) -> Result<RemoteModel, String> {
        match self {
            Self::Here { device, eye, .. } => {
                let opened = Eye::open_hearing(source, &device.device, progress);
                Ok(eye.insert(opened.map_err(|error| error.to_string())?).info())
            }
            #[cfg(target_family = "wasm")]
            Self::Elsewhere { remote, .. } => remote.open(source.clone()).await,
        }
    }

    /// Looks at a view. With `in_memory` the patch tokens come into memory even where they are drawn from the device.
    pub async fn look(&self, view: Picture, way: Way, in_memory: bool) -> Result<Seen, String> {
        match self {
            Self::Here { keep_on_device, eye, .. } => {
                let eye = eye.as_ref().ok_or("no model was opened")?;
                let seen = eye.look_keeping(view, way, *keep_on_device && !in_memory).await;
                seen.map_err(|error| error.to_string())
            }
            #[cfg(target_family = "wasm")]
            Self::Elsewhere { name, remote } => {
                remote.look(view, way).await.map_err(|error| format!("{name}: {error}"))
            }
        }
    }
}
