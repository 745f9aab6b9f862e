//! Who looks for an explorer: a model on a device of this thread, or somebody elsewhere.

#[cfg(target_family = "wasm")]
use std::rc::Rc;

#[cfg(target_family = "wasm")]
use super::local_inspector::RemoteInspector;
use super::local_inspector::{LocalInspector, OpenModelInfo};
use super::{ModelSource, PictureInspection, ViewQuery};
use crate::data::Picture;
use crate::device::SelectedDevice;

/// Who looks. Errors are for the person.
pub(super) enum InspectorBackend {
    /// This thread.
    Local {
        /// What computes.
        device: SelectedDevice,
        /// Whether patch tokens stay in its buffers.
        keep_on_device: bool,
        /// The model, once there is one.
        inspector: Option<LocalInspector>,
    },
    /// Somebody who is asked.
    #[cfg(target_family = "wasm")]
    Remote {
        /// What errors call them.
        name: String,
        /// How to ask.
        remote: Rc<dyn RemoteInspector>,
    },
}

impl InspectorBackend {
    /// This thread, still without a model.
    pub fn local(device: SelectedDevice, keep_on_device: bool) -> Self {
        Self::Local { device, keep_on_device, inspector: None }
    }

    /// Takes a model; the one before stays where that fails.
    pub async fn open(
        &mut self,
        source: &ModelSource,
        progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
    ) -> Result<OpenModelInfo, String> {
        match self {
            Self::Local { device, inspector, .. } => {
                let opened = LocalInspector::open_with_progress(source, &device.device, progress);
                Ok(inspector.insert(opened.map_err(|error| error.to_string())?).info())
            }
            #[cfg(target_family = "wasm")]
            Self::Remote { remote, .. } => remote.open(source.clone()).await,
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
            Self::Local { keep_on_device, inspector, .. } => {
                let inspector = inspector.as_ref().ok_or("no model was opened")?;
                let seen = inspector.inspect_on_device(view, way, *keep_on_device && !in_memory).await;
                seen.map_err(|error| error.to_string())
            }
            #[cfg(target_family = "wasm")]
            Self::Remote { name, remote } => {
                remote.look(view, way).await.map_err(|error| format!("{name}: {error}"))
            }
        }
    }
}
