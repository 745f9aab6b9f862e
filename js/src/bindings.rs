//! The functions that the package's JavaScript calls.

use burn::tensor::Device;
use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::constructors;
use dinoscope_core::data::decode::{self, DecodeOptions};
use dinoscope_core::model::config::FfnKind;
use js_sys::{Array, Float32Array, Function, Promise, Uint8ClampedArray};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::failure::JsApiError;
use crate::model::{self, JsAttentionQuery};
use crate::object::{number, object};
use crate::{device, palette, pixels};

/// Runs once, when the program has been loaded.
#[wasm_bindgen(start)]
pub fn begin() {
    constructors::run_constructors();
}

/// Calls `listener(code, message)` when everything ends: `crash` for a panic, `lost` for a device that is gone.
#[wasm_bindgen]
pub fn listen(listener: Function) {
    device::listen(listener);
}

/// A picture's pixels. Whoever takes one keeps it.
#[wasm_bindgen]
pub struct Picture(dinoscope_core::data::Picture);

#[wasm_bindgen]
impl Picture {
    /// From the content of a picture file, for a model of so many channels; `name` is for messages.
    ///
    /// # Errors
    /// Throws when it is no usable picture.
    pub fn decode(name: &str, bytes: &[u8], channels: usize) -> Result<Self, JsValue> {
        let options = DecodeOptions { channels, ..DecodeOptions::default() };
        let decoded = decode::decode_bytes_as(name, bytes, options).map_err(JsApiError::from)?;
        Ok(Self(decoded.picture))
    }

    /// From red, green, blue and opacity, for a model of so many channels: of four the opacity is one.
    ///
    /// # Errors
    /// Throws when their number is not what the size says.
    pub fn pixels(rgba: &[u8], width: usize, height: usize, channels: usize) -> Result<Self, JsValue> {
        let picture = match channels {
            4 => pixels::with_opacity(rgba, width, height)?,
            _ => pixels::from_rgba(rgba, width, height)?,
        };
        Ok(Self(picture))
    }
}

/// A model on its device.
#[wasm_bindgen]
pub struct Model {
    model: model::InferenceSession,
    adapter: Option<String>,
}

#[wasm_bindgen]
impl Model {
    /// Opens the content of a weights file; `name` is for messages, `heads` for files that do not say it.
    ///
    /// # Errors
    /// Throws when it holds no model, or when there is no GPU and one was asked for.
    pub async fn open(name: String, bytes: Vec<u8>, gpu: bool, heads: Option<f64>) -> Result<Self, JsValue> {
        let (device, adapter) = match gpu {
            true => {
                let (device, name) = device::gpu().await?;
                (device, Some(name))
            }
            false => (Device::flex(), None),
        };
        Ok(Self { model: model::InferenceSession::open(&name, bytes, heads, &device)?, adapter })
    }

    /// The GPU's name; undefined on the CPU.
    #[wasm_bindgen(getter)]
    pub fn adapter(&self) -> Option<String> {
        self.adapter.clone()
    }

    /// What there is to know about the model.
    #[wasm_bindgen(getter)]
    pub fn info(&self) -> JsValue {
        let config = self.model.config();
        let notes: Array = self.model.notes.iter().map(|note| JsValue::from_str(note)).collect();
        let ffn = match config.ffn {
            FfnKind::Mlp => "mlp",
            FfnKind::SwiGlu => "swiglu",
        };
        object(&[
            ("name", self.model.file.as_str().into()),
            ("patch", number(config.patch)),
            ("dim", number(config.dim)),
            ("depth", number(config.depth)),
            ("heads", number(config.heads)),
            ("registers", number(config.registers)),
            ("channels", number(config.channels())),
            ("ffn", ffn.into()),
            ("parameters", number(config.parameters())),
            ("resolution", number(self.model.resolution())),
            ("notes", notes.into()),
        ])
    }

    /// `{ cls, patches, rows, cols, dim, width, height }` of each picture. `pause` is called between blocks; its promise
    /// says whether to go on.
    ///
    /// # Errors
    /// Throws when the resolution makes no sense, the device fails, or it was stopped.
    pub async fn features(
        &self,
        pictures: Vec<Picture>,
        resolution: Option<f64>,
        pause: Function,
    ) -> Result<Array, JsValue> {
        let pictures: Vec<_> = pictures.into_iter().map(|Picture(picture)| picture).collect();
        let found = self.model.features(&pictures, resolution, async || go_on(&pause).await).await?;
        let each = found.into_iter().zip(&pictures).map(|(features, picture)| {
            let PatchFeatures { rows, cols, dim, data } = features.patches;
            object(&[
                ("cls", Float32Array::from(features.cls.as_slice()).into()),
                ("patches", Float32Array::from(data.as_slice()).into()),
                ("rows", number(rows)),
                ("cols", number(cols)),
                ("dim", number(dim)),
                ("width", number(picture.width)),
                ("height", number(picture.height)),
            ])
        });
        Ok(each.collect())
    }

    /// `{ heads, mean, elsewhere, rows, cols }`: where a token looks. `query` has no number (the CLS token), one (a
    /// patch) or two (a pixel).
    ///
    /// # Errors
    /// Throws when there is no such block or patch, the device fails, or it was stopped.
    pub async fn attention(
        &self,
        picture: Picture,
        resolution: Option<f64>,
        block: Option<f64>,
        query: Vec<f64>,
        pause: Function,
    ) -> Result<JsValue, JsValue> {
        let query = match *query.as_slice() {
            [patch] => JsAttentionQuery::Patch(patch),
            [x, y] => JsAttentionQuery::Pixel { x, y },
            _ => JsAttentionQuery::Cls,
        };
        let pause = async || go_on(&pause).await;
        let maps = self.model.attention(&picture.0, resolution, block, query, pause).await?;
        let heads: Array = maps.heads.iter().map(|head| Float32Array::from(head.as_slice())).collect();
        Ok(object(&[
            ("heads", heads.into()),
            ("mean", Float32Array::from(maps.mean.as_slice()).into()),
            ("elsewhere", Float32Array::from(maps.elsewhere.as_slice()).into()),
            ("rows", number(maps.rows)),
            ("cols", number(maps.cols)),
        ]))
    }
}

/// What a function that gives a promise says; yes where it fails.
async fn go_on(pause: &Function) -> bool {
    let promise = pause.call0(&JsValue::NULL).map(|given| Promise::resolve(&given));
    match promise {
        Ok(promise) => JsFuture::from(promise).await.map_or(true, |said| said.is_truthy()),
        Err(_) => true,
    }
}

/// Features of several pictures on their way to colours.
#[wasm_bindgen]
#[derive(Default)]
pub struct Palette {
    pictures: Vec<PatchFeatures>,
    fitted: Option<palette::PcaPalette>,
}

#[wasm_bindgen]
impl Palette {
    /// With nothing in it.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the patch tokens of a picture, `[rows * cols, dim]`.
    pub fn add(&mut self, patches: Vec<f32>, rows: usize, cols: usize, dim: usize) {
        self.pictures.push(PatchFeatures { rows, cols, dim, data: patches });
    }

    /// Fits colours to all that was added.
    ///
    /// # Errors
    /// Throws without pictures, and when features belong to different models.
    pub fn fit(&mut self, foreground: bool) -> Result<(), JsValue> {
        self.fitted = Some(palette::PcaPalette::fit(std::mem::take(&mut self.pictures), foreground)?);
        Ok(())
    }

    /// Red, green, blue and opacity of the picture that was added as number `index`; empty before the fit.
    ///
    /// # Errors
    /// Throws when the size makes no sense.
    pub fn paint(
        &self,
        index: usize,
        width: usize,
        height: usize,
        smooth: bool,
    ) -> Result<Uint8ClampedArray, JsValue> {
        let rgba = match &self.fitted {
            Some(palette) => palette.paint(index, (width, height), smooth)?,
            None => Vec::new(),
        };
        Ok(Uint8ClampedArray::from(rgba.as_slice()))
    }
}

/// Features of the same pictures by two models, on their way to colours and figures.
#[wasm_bindgen]
#[derive(Default)]
pub struct Comparison {
    own: Vec<PatchFeatures>,
    theirs: Vec<PatchFeatures>,
    fitted: Option<palette::ModelComparison>,
}

#[wasm_bindgen]
impl Comparison {
    /// With nothing in it.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the patch tokens of a picture, `[rows * cols, dim]`, as the other model sees it where `theirs`.
    pub fn add(&mut self, theirs: bool, patches: Vec<f32>, rows: usize, cols: usize, dim: usize) {
        let pictures = if theirs { &mut self.theirs } else { &mut self.own };
        pictures.push(PatchFeatures { rows, cols, dim, data: patches });
    }

    /// Fits colours to all that was added, the other model's turned onto those of the first.
    ///
    /// # Errors
    /// Throws without pictures, or when there are not as many of both.
    pub fn fit(&mut self, foreground: bool) -> Result<(), JsValue> {
        let (own, theirs) = (std::mem::take(&mut self.own), std::mem::take(&mut self.theirs));
        self.fitted = Some(palette::ModelComparison::fit(own, theirs, foreground)?);
        Ok(())
    }

    /// Linear CKA of the patches, debiased; undefined where a model varies nowhere.
    #[wasm_bindgen(getter)]
    pub fn cka(&self) -> Option<f64> {
        self.fitted.as_ref()?.agreement.cka()
    }

    /// The share of each patch's nearest patches that both models have; undefined where there are too few.
    #[wasm_bindgen(getter)]
    pub fn neighbours(&self) -> Option<f64> {
        self.fitted.as_ref()?.agreement.neighbours()
    }

    /// Red, green, blue and opacity of a picture, as the other model sees it where `theirs`; empty before the fit.
    ///
    /// # Errors
    /// Throws when the size makes no sense.
    pub fn paint(
        &self,
        theirs: bool,
        index: usize,
        width: usize,
        height: usize,
        smooth: bool,
    ) -> Result<Uint8ClampedArray, JsValue> {
        let palette = self.fitted.as_ref().map(|both| if theirs { &both.theirs } else { &both.own });
        let rgba = match palette {
            Some(palette) => palette.paint(index, (width, height), smooth)?,
            None => Vec::new(),
        };
        Ok(Uint8ClampedArray::from(rgba.as_slice()))
    }
}
