//! Who looks for an explorer: a model on a device of this thread, or somebody elsewhere.

#[cfg(target_family = "wasm")]
use std::rc::Rc;

#[cfg(target_family = "wasm")]
use super::extractor::RemoteInspector;
use super::extractor::{LocalInspector, OpenModelInfo};
use super::{ModelSource, PictureInspection, ViewQuery};
use crate::data::Picture;
use crate::device::SelectedDevice;

/// Who looks. Errors are for the person.
pub(super) enum InspectorBackend {
    /// This thread.
    Here {
        /// What computes.
        device: SelectedDevice,
        /// Whether patch tokens stay in its buffers.
        keep_on_device: bool,
        /// The model, once there is one.
        extractor: Option<LocalInspector>,
    },
    /// Somebody who is asked.
    #[cfg(target_family = "wasm")]
    Elsewhere {
        /// What errors call them.
        name: String,
        /// How to ask.
        remote: Rc<dyn RemoteInspector>,
    },
}

impl InspectorBackend {
    /// This thread, still without a model.
    pub fn here(device: SelectedDevice, keep_on_device: bool) -> Self {
        Self::Here { device, keep_on_device, extractor: None }
    }

    /// Takes a model; the one before stays where that fails.
    pub async fn open(
        &mut self,
        source: &ModelSource,
        progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
    ) -> Result<OpenModelInfo, String> {
        match self {
            Self::Here { device, extractor, .. } => {
                let opened = LocalInspector::open_hearing(source, &device.device, progress);
                Ok(extractor.insert(opened.map_err(|error| error.to_string())?).info())
            }
            #[cfg(target_family = "wasm")]
            Self::Elsewhere { remote, .. } => remote.open(source.clone()).await,
        }
    }

    /// Looks at a view. With `in_memory` the patch tokens come into memory even where they are drawn from the device.
    pub async fn look(
        &self,
        view: Picture,
        way: ViewQuery,
        in_memory: bool,
    ) -> Result<PictureInspection, String> {
        match self {
            Self::Here { keep_on_device, extractor, .. } => {
                let extractor = extractor.as_ref().ok_or("no model was opened")?;
                let seen = extractor.look_keeping(view, way, *keep_on_device && !in_memory).await;
                seen.map_err(|error| error.to_string())
            }
            #[cfg(target_family = "wasm")]
            Self::Elsewhere { name, remote } => {
                remote.look(view, way).await.map_err(|error| format!("{name}: {error}"))
            }
        }
    }
}
