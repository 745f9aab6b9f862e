//! A model with a device to look with; here, or elsewhere.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::seen::{InspectionError, PictureInspection, ViewQuery};
use super::{ModelError, ModelSource, OpenModel, open};
use crate::data::Picture;
use crate::model::{VitConfig, params};

/// A future of this thread.
pub type LocalFuture<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// A model that is ready to look with, on its device.
#[derive(Clone, Debug)]
pub struct LocalInspector {
    model: OpenModel,
    device: Device,
}

/// What is known about a model wherever it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenModelInfo {
    /// Its sizes.
    pub config: VitConfig,
    /// What a person may want to know.
    pub notes: Vec<String>,
    /// The file, or a name.
    pub file: String,
    /// Trainable values.
    pub parameters: usize,
}

impl LocalInspector {
    /// Opens a model on a device.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub fn open(source: &ModelSource, device: &Device) -> Result<Self, ModelError> {
        Self::open_with_progress(source, device, &mut |_, _| true)
    }

    /// [`LocalInspector::open`] with a `progress` that hears what is downloaded of how many bytes, and may say no.
    pub(super) fn open_with_progress(
        source: &ModelSource,
        device: &Device,
        progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
    ) -> Result<Self, ModelError> {
        Ok(Self { model: open(source, device, progress)?, device: device.clone() })
    }

    /// What is known about the model.
    pub fn info(&self) -> OpenModelInfo {
        let OpenModel { backbone, notes, file } = &self.model;
        let mut parameters = 0;
        params::visit(backbone, |seen| parameters += seen.shape.iter().product::<usize>());
        OpenModelInfo {
            config: backbone.config.clone(),
            notes: notes.clone(),
            file: file.clone(),
            parameters,
        }
    }

    /// Looks at a view, whose sides are multiples of the patch; the result is in memory.
    ///
    /// # Errors
    /// See [`InspectionError`].
    pub async fn look(&self, view: Picture, way: ViewQuery) -> Result<PictureInspection, InspectionError> {
        self.inspect_on_device(view, way, false).await
    }

    /// [`LocalInspector::look`] that may leave the patch tokens on the device.
    pub(super) async fn inspect_on_device(
        &self,
        view: Picture,
        way: ViewQuery,
        keep_on_device: bool,
    ) -> Result<PictureInspection, InspectionError> {
        PictureInspection::look(&self.model.backbone, view, way, &self.device, keep_on_device).await
    }
}

/// An [`LocalInspector`] that is elsewhere, in a worker of the page for instance. Errors are for the person.
pub trait RemoteInspector {
    /// Opens a model, in place of the one before.
    fn open(&self, source: ModelSource) -> LocalFuture<Result<OpenModelInfo, String>>;

    /// Looks at a view, whose sides are multiples of the patch; the result is in memory.
    fn look(&self, view: Picture, way: ViewQuery) -> LocalFuture<Result<PictureInspection, String>>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::QueryToken;
    use super::*;
    use crate::data::source::scenes;
    use crate::device::block_on;
    use crate::features::whole_view;

    #[test]
    fn an_eye_says_what_it_is_and_looks() {
        let inspector = LocalInspector::open(&ModelSource::Starter, &Device::flex()).unwrap();
        let info = inspector.info();
        assert_eq!(info.parameters, info.config.parameters());
        let view = whole_view(&scenes::draw(1, 0, 64).picture, 64, info.config.patch);
        let way = ViewQuery { resolution: 64, block: 99, query: QueryToken::Cls };
        let seen = block_on(inspector.look(view, way)).unwrap();
        assert_eq!((seen.rows * info.config.patch, seen.dim), (64, info.config.dim));
        assert!(matches!(seen.patches, super::super::PatchTokens::Host(_)));
    }
}
