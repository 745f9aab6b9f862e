//! A backbone with its device: what `dinoscope features` does, one picture at a time.
//!
//! The same functions of the core in the same order as on the command line, so that numbers agree.

use burn::tensor::Device;
use dinoscope_core::analysis::attention_map::AttentionMaps;
use dinoscope_core::data::channels::{fitted, misfit};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::explore::ModelError;
use dinoscope_core::features::{ViewFeatures, view_attention_pausing, views_features_pausing, whole_view};
use dinoscope_core::model::{Vit, VitConfig, params};
use dinoscope_core::weights::{self, LoadedWeights, WeightsLoadOptions};

use crate::failure::JsApiError;

/// Longest shorter side of a view, in patches.
const MAX_PATCHES: usize = 256;

/// Patches that pass through the model at a time, where there are several pictures: two of 32 × 32, or many small ones.
const AT_ONCE: usize = 2048;

/// A model that looks at pictures.
#[derive(Debug)]
pub struct InferenceSession {
    backbone: Vit,
    device: Device,
    /// The file, or a name.
    pub file: String,
    /// What a person may want to know: guesses made and tensors not used.
    pub notes: Vec<String>,
}

/// Whose attention is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JsAttentionQuery {
    /// The CLS token.
    Cls,
    /// This patch, in reading order.
    Patch(f64),
    /// The patch at this place of the picture, in its pixels.
    Pixel {
        /// From the left.
        x: f64,
        /// From the top.
        y: f64,
    },
}

impl InferenceSession {
    /// Reads the content of a weights file; `name` is for messages, `heads` for files that do not say how many attention
    /// heads there are.
    ///
    /// The content is given away and let go before the model is made: a browser's program has 4 GB at most, and never
    /// gives memory back.
    ///
    /// # Errors
    /// When it is no weights file, or holds no backbone.
    pub fn open(name: &str, bytes: Vec<u8>, heads: Option<f64>, device: &Device) -> Result<Self, JsApiError> {
        let heads = match heads {
            None => None,
            Some(asked) if asked.fract() == 0.0 && (1.0..=1024.0).contains(&asked) => Some(asked as usize),
            Some(asked) => {
                return Err(JsApiError::argument("heads", asked, "a whole number from 1 to 1024".to_owned()));
            }
        };
        let reading = WeightsLoadOptions { heads, ..WeightsLoadOptions::default() };
        let read = weights::from_bytes_as(name, &bytes, reading)?;
        let LoadedWeights { backbone: dict, config, notes, file, .. } = read;
        drop(bytes);
        let (backbone, missing) = params::load(Vit::unloaded(&config, device), &dict, |path| path.to_owned());
        match missing.as_slice() {
            [] => Ok(Self { backbone, device: device.clone(), file, notes }),
            [key, more @ ..] => {
                Err(ModelError::Incomplete { file, key: key.clone(), more: more.len() }.into())
            }
        }
    }

    /// Its sizes.
    pub fn config(&self) -> &VitConfig {
        &self.backbone.config
    }

    /// Shorter side that pictures are resized to unless another is asked for: as the command line's.
    pub fn resolution(&self) -> usize {
        self.config().view_side()
    }

    /// The picture as the model is given it.
    fn view(&self, picture: &Picture, resolution: Option<f64>) -> Result<Picture, JsApiError> {
        let (patch, channels) = (self.config().patch, self.config().channels());
        if fitted(picture, channels).is_none() {
            let reason = misfit(picture.channels, channels);
            return Err(DataError::Decode { name: "the image".to_owned(), reason }.into());
        }
        let Some(asked) = resolution else { return Ok(whole_view(picture, self.resolution(), patch)) };
        let most = MAX_PATCHES * patch;
        if asked.fract() != 0.0 || !(patch as f64..=most as f64).contains(&asked) {
            let expected = format!("a whole number from {patch} to {most}");
            return Err(JsApiError::argument("resolution", asked, expected));
        }
        Ok(whole_view(picture, asked as usize, patch))
    }

    /// CLS and patch tokens of pictures, after the final norm. Pictures that follow each other and have one size as the model
    /// is given them pass together, as many as [`AT_ONCE`] allows. `pause` is awaited between blocks, and ends it by saying
    /// no.
    ///
    /// # Errors
    /// When the resolution makes no sense, the device fails, the features are no numbers, or `pause` said no.
    pub async fn features(
        &self,
        pictures: &[Picture],
        resolution: Option<f64>,
        mut pause: impl AsyncFnMut() -> bool,
    ) -> Result<Vec<ViewFeatures>, JsApiError> {
        let mut found = Vec::with_capacity(pictures.len());
        let mut waiting: Vec<Picture> = Vec::new();
        for picture in pictures {
            let view = self.view(picture, resolution)?;
            if waiting.first().is_some_and(|first| !self.together(first, &view, waiting.len())) {
                found.extend(self.pass(&waiting, &mut pause).await?);
                waiting.clear();
            }
            waiting.push(view);
        }
        if !waiting.is_empty() {
            found.extend(self.pass(&waiting, &mut pause).await?);
        }
        Ok(found)
    }

    /// Whether `next` can join `count` views like `first` in one pass.
    fn together(&self, first: &Picture, next: &Picture, count: usize) -> bool {
        let patches = next.width * next.height / self.config().patch.pow(2);
        (first.width, first.height) == (next.width, next.height) && (count + 1) * patches <= AT_ONCE
    }

    /// Views of one size in one pass.
    async fn pass(
        &self,
        views: &[Picture],
        pause: &mut impl AsyncFnMut() -> bool,
    ) -> Result<Vec<ViewFeatures>, JsApiError> {
        let found = views_features_pausing(&self.backbone, views, &self.device, &mut *pause).await?;
        let found = found.ok_or(JsApiError::Stopped)?;
        found.iter().try_for_each(|features| features.patches.check())?;
        Ok(found)
    }

    /// Where a token of a block looks, head by head; the last block where none is named.
    ///
    /// # Errors
    /// When there is no such block or patch, the device fails, or `pause` said no.
    pub async fn attention(
        &self,
        picture: &Picture,
        resolution: Option<f64>,
        block: Option<f64>,
        query: JsAttentionQuery,
        pause: impl AsyncFnMut() -> bool,
    ) -> Result<AttentionMaps, JsApiError> {
        let VitConfig { patch, depth, heads, .. } = *self.config();
        let prefix = self.config().prefix();
        let block = match block {
            None => depth - 1,
            Some(asked) => whole("block", asked, depth)?,
        };
        let view = self.view(picture, resolution)?;
        let (rows, cols) = (view.height / patch, view.width / patch);
        let query = match query {
            JsAttentionQuery::Cls => 0,
            JsAttentionQuery::Patch(index) => prefix + whole("query", index, rows * cols)?,
            JsAttentionQuery::Pixel { x, y } => {
                let col = along("query.x", x, picture.width, cols)?;
                prefix + along("query.y", y, picture.height, rows)? * cols + col
            }
        };
        let found = view_attention_pausing(&self.backbone, &view, block, query, &self.device, pause).await?;
        let probabilities = found.ok_or(JsApiError::Stopped)?;
        Ok(AttentionMaps::new(&probabilities, heads, prefix, rows, cols)?)
    }
}

/// A whole number below `end`.
fn whole(option: &'static str, given: f64, end: usize) -> Result<usize, JsApiError> {
    if given.fract() == 0.0 && given >= 0.0 && given < end as f64 {
        return Ok(given as usize);
    }
    Err(JsApiError::argument(option, given, format!("a whole number from 0 to {}", end.saturating_sub(1))))
}

/// The patch, of `patches`, in which a pixel of `pixels` lies.
fn along(option: &'static str, given: f64, pixels: usize, patches: usize) -> Result<usize, JsApiError> {
    if given >= 0.0 && given < pixels as f64 {
        return Ok((given / pixels as f64 * patches as f64) as usize);
    }
    Err(JsApiError::argument(
        option,
        given,
        format!("0 or more and below {pixels}, in pixels of the picture"),
    ))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use dinoscope_core::weights::KeyLayout;

    use super::*;

    /// The CPU backend never waits.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the CPU backend waited"),
        }
    }

    fn starter() -> InferenceSession {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/weights/starter.safetensors");
        InferenceSession::open("starter weights", std::fs::read(file).unwrap(), None, &Device::flex())
            .unwrap()
    }

    async fn go_on() -> bool {
        true
    }

    fn picture() -> Picture {
        let rgb = (0..48 * 32 * 3).map(|i| (i * 7 % 251) as u8).collect();
        Picture::of_rgb(48, 32, rgb)
    }

    #[test]
    fn features_are_those_of_the_core() {
        let model = starter();
        let features = ready(model.features(&[picture()], Some(64.0), go_on)).unwrap().swap_remove(0);
        assert_eq!((features.patches.rows, features.patches.cols, features.cls.len()), (8, 12, 128));
        let view = whole_view(&picture(), 64, 8);
        let expected =
            ready(dinoscope_core::features::view_features(&model.backbone, &view, &Device::flex())).unwrap();
        assert_eq!(features.cls, expected.cls);
        assert_eq!(features.patches, expected.patches);
    }

    #[test]
    fn a_caller_may_say_how_many_heads_there_are() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/weights/starter.safetensors");
        let open =
            |heads| InferenceSession::open("starter", std::fs::read(file).unwrap(), heads, &Device::flex());
        assert_eq!(open(Some(8.0)).unwrap().config().heads, 8);
        for wrong in [0.0, 2.5, -4.0, f64::NAN] {
            assert!(open(Some(wrong)).unwrap_err().to_string().contains("heads"), "{wrong}");
        }
        assert!(open(Some(7.0)).unwrap_err().to_string().contains("7 attention heads"));
    }

    #[test]
    fn several_pictures_give_what_each_gives_alone() {
        let model = starter();
        let other = Picture::of_rgb(48, 32, picture().rgb.iter().map(|v| 255 - v).collect());
        let upright = Picture::of_rgb(32, 48, picture().rgb);
        let all = [picture(), other.clone(), upright.clone(), other];
        let together = ready(model.features(&all, Some(64.0), go_on)).unwrap();
        assert_eq!(together.len(), 4);
        for (picture, found) in all.iter().zip(&together) {
            let alone = ready(model.features(std::slice::from_ref(picture), Some(64.0), go_on)).unwrap();
            assert_eq!(
                (found.patches.rows, found.patches.cols),
                (alone[0].patches.rows, alone[0].patches.cols)
            );
            let apart =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart(&found.cls, &alone[0].cls) < 1e-5);
            assert!(apart(&found.patches.data, &alone[0].patches.data) < 1e-5);
        }
        assert!(ready(model.features(&[], None, go_on)).unwrap().is_empty());
    }

    #[test]
    fn it_ends_where_it_is_told_to() {
        let model = starter();
        for most in [0, 1, 3] {
            let mut asked = 0;
            let pause = async || {
                asked += 1;
                asked <= most
            };
            let failure = ready(model.features(&[picture()], Some(32.0), pause)).unwrap_err();
            assert_eq!((failure.code(), asked), ("stopped", most + 1));
        }
        let stopped =
            ready(model.attention(&picture(), Some(32.0), None, JsAttentionQuery::Cls, async || false));
        assert_eq!(stopped.unwrap_err().code(), "stopped");
    }

    #[test]
    fn weights_of_half_precision_are_half_the_size_and_see_the_same() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/weights/starter.safetensors");
        let half = std::fs::read(file).unwrap();
        let read = weights::from_bytes("starter.safetensors", &half).unwrap();
        let whole = weights::to_bytes(&read.backbone, &read.config, KeyLayout::Official).unwrap();
        assert!(half.len() < whole.len() / 2 + 8192);
        let whole = InferenceSession::open("whole.safetensors", whole, None, &Device::flex()).unwrap();
        let look = |model: &InferenceSession| {
            ready(model.features(&[picture()], Some(64.0), go_on)).unwrap().swap_remove(0)
        };
        assert_eq!(look(&whole).patches, look(&starter()).patches);
    }

    #[test]
    fn a_query_is_a_token_a_patch_or_a_place() {
        let model = starter();
        let look = |query| ready(model.attention(&picture(), Some(32.0), Some(1.0), query, go_on));
        let maps = look(JsAttentionQuery::Cls).unwrap();
        assert_eq!((maps.rows, maps.cols, maps.heads.len()), (4, 6, 4));
        // Patch 9 of 6 columns is the second row's fourth: pixels 24 to 31, 8 to 15.
        let patch = look(JsAttentionQuery::Patch(9.0)).unwrap();
        assert_eq!(look(JsAttentionQuery::Pixel { x: 31.9, y: 8.0 }).unwrap(), patch);
        assert_ne!(look(JsAttentionQuery::Pixel { x: 32.0, y: 8.0 }).unwrap(), patch);
        assert_ne!(maps, patch);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let model = starter();
        let refused = |resolution, block, query| {
            let failure = ready(model.attention(&picture(), resolution, block, query, go_on)).unwrap_err();
            assert_eq!(failure.code(), "argument");
            failure.to_string()
        };
        let message = refused(None, Some(4.0), JsAttentionQuery::Cls);
        assert_eq!(message, "block is 4, expected a whole number from 0 to 3");
        assert!(refused(Some(32.0), None, JsAttentionQuery::Patch(24.0)).contains("from 0 to 23"));
        assert!(refused(Some(32.0), None, JsAttentionQuery::Patch(f64::NAN)).contains("query is NaN"));
        assert!(
            refused(Some(32.0), None, JsAttentionQuery::Pixel { x: 0.0, y: 32.0 }).contains("query.y is 32")
        );
        for resolution in [0.0, -8.0, 33.5, 4096.0, f64::INFINITY, f64::NAN] {
            assert!(refused(Some(resolution), None, JsAttentionQuery::Cls).contains("from 8 to 2048"));
        }
    }

    #[test]
    fn a_file_that_is_no_weights_is_named() {
        let failure =
            InferenceSession::open("cat.jpg", b"\xff\xd8\xff\xe0 no weights".to_vec(), None, &Device::flex());
        let failure = failure.unwrap_err();
        assert_eq!(failure.code(), "weights");
        assert!(failure.to_string().starts_with("cat.jpg"), "{failure}");
    }
}
