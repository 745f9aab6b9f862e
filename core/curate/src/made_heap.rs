//! A heap for tests, laid down without a model.

use std::path::Path;

use half::f16;

use crate::features::{FeatureOrigin, FeatureStore, StoredPicture, hex};
use crate::table::{CuratedPicture, CurationTable};

/// A picture of a made-up heap: what is known of its content, its features of length 1, and its row.
pub struct MadePicture {
    pub about: StoredPicture,
    pub features: Vec<f16>,
    pub row: CuratedPicture,
}

impl MadePicture {
    /// One that is known by its number.
    pub fn new(number: u64, features: Vec<f16>, key: impl Into<String>) -> Self {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        Self {
            about: StoredPicture { digest, ..StoredPicture::default() },
            features,
            row: CuratedPicture { key: key.into(), ..CuratedPicture::default() },
        }
    }

    /// Features that point away from an axis of half the numbers, by degrees.
    pub fn towards(dim: usize, axis: usize, degrees: f64) -> Vec<f16> {
        let mut features = vec![f16::ZERO; dim];
        features[axis] = f16::from_f64(degrees.to_radians().cos());
        features[dim - 1 - axis] = f16::from_f64(degrees.to_radians().sin());
        features
    }
}

/// What features of tests were made with.
pub fn origin(dim: usize) -> FeatureOrigin {
    let text = |text: &str| text.to_owned();
    FeatureOrigin {
        weights: text("w"),
        digest: text("d"),
        dim,
        size: 28,
        depth_range: text("fixed"),
        mirrored: false,
    }
}

/// Writes features and a table of pictures, and rows of pictures without features behind them. Contents that are known already
/// are not written again.
pub fn lay_down(folder: &Path, table: &str, dim: usize, pictures: &[MadePicture], more: Vec<CuratedPicture>) {
    let mut store = FeatureStore::with_origin(folder, &origin(dim)).unwrap();
    let mut new: Vec<StoredPicture> = Vec::new();
    let mut features: Vec<f16> = Vec::new();
    for picture in pictures {
        let is_known = |digest| store.picture(digest).is_some() || new.iter().any(|p| p.digest == *digest);
        if !is_known(&picture.about.digest) {
            new.push(picture.about.clone());
            features.extend(&picture.features);
        }
    }
    store.add(&new, &features).unwrap();
    let row =
        |made: &MadePicture| CuratedPicture { digest: Some(hex(&made.about.digest)), ..made.row.clone() };
    let rows = pictures.iter().map(row).chain(more).collect();
    CurationTable { rows, ..CurationTable::default() }.write(&folder.join(table)).unwrap();
}
