//! Cases for `cache.rs`, beside it for their length.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::super::gather::{FeatureSet, ImageFeatureExtractor};
use super::*;
use dinoscope_base::device::block_on;
use dinoscope_data::source::scenes::{self, ScenesSource};
use dinoscope_data::source::{PictureSource, subset::SubsetSource};
use dinoscope_model::VitConfig;

const DEEP: ImageFeatureSpec = ImageFeatureSpec { blocks: 2, patch_mean: true };

fn backbone(seed: u64) -> Vit {
    Vit::init(&VitConfig::new(28, 14, 12, 2, 2), seed, &Device::flex())
}

fn scenes(count: usize) -> Arc<dyn PictureSource> {
    Arc::new(ScenesSource::new(3, count, 28))
}

/// Features, and how many of them were kept from before.
fn features(
    cache: &FeatureDiskCache,
    backbone: &Vit,
    source: &dyn PictureSource,
    wanted: ImageFeatureSpec,
) -> (FeatureSet, usize) {
    let device = Device::flex();
    block_on(async {
        let mut kept = cache.open(backbone, &device, 28, wanted).await.unwrap();
        let gathering = ImageFeatureExtractor { backbone, wanted, size: 28, batch: 4, device: &device };
        let found = gathering.gather(source, &mut kept, &mut async |_| true).await.unwrap();
        cache.save(&kept).unwrap();
        (found, kept.used)
    })
}

fn near(a: &FeatureSet, b: &FeatureSet) -> bool {
    let apart = a.features.iter().zip(&b.features).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    a.labels == b.labels && a.features.len() == b.features.len() && apart < 1e-5
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn rows_are_found_by_picture_backbone_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let cache = FeatureDiskCache::in_folder(folder.path().join("new"), 1 << 20);
    let (model, all) = (backbone(1), scenes(10));
    let plain = features(&FeatureDiskCache::off(), &model, all.as_ref(), DEEP).0;
    assert_eq!(features(&cache, &model, all.as_ref(), DEEP), (plain.clone(), 0));
    assert_eq!(features(&cache, &model, all.as_ref(), DEEP), (plain.clone(), 10));
    // In another order, and with some that are new.
    let some = SubsetSource::new(scenes(12), vec![11, 3, 0, 10, 9, 9]).unwrap();
    let (mixed, used) = features(&cache, &model, &some, DEEP);
    assert!(near(&mixed, &features(&FeatureDiskCache::off(), &model, &some, DEEP).0));
    assert_eq!(used, 4);
    assert_eq!(features(&cache, &model, &some, DEEP).1, 6);
    // The last CLS token is among them.
    let (cls, used) = features(&cache, &model, all.as_ref(), ImageFeatureSpec::CLS);
    assert_eq!((cls, used), (plain.columns(12, 24), 10));
    // Another backbone has nothing of it.
    assert_eq!(features(&cache, &backbone(2), all.as_ref(), DEEP).1, 0);
}

#[test]
fn damaged_files_are_replaced_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = FeatureDiskCache::in_folder(folder.path(), 1 << 20);
    let (model, all) = (backbone(1), scenes(5));
    let (plain, _) = features(&cache, &model, all.as_ref(), ImageFeatureSpec::CLS);
    let file = files_in(folder.path()).pop().unwrap();
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&flipped[..], &good[..good.len() - 3], &good[..20], b""] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(features(&cache, &model, all.as_ref(), ImageFeatureSpec::CLS), (plain.clone(), 0));
        assert_eq!(std::fs::read(&file).unwrap().len(), good.len(), "it is whole again");
    }
}

#[test]
fn rows_that_are_computed_otherwise_now_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let cache = FeatureDiskCache::in_folder(folder.path(), 1 << 20);
    let (model, all) = (backbone(1), scenes(5));
    let (plain, _) = features(&cache, &model, all.as_ref(), DEEP);
    // A whole file with other numbers, as an older program might have left.
    let file = files_in(folder.path()).pop().unwrap();
    let (names, rows) = read(&file, plain.dim).unwrap();
    let mut other = CachedFeatures::new(plain.dim, 1 << 20);
    other.path = Some(file);
    for (name, row) in names.iter().zip(rows.chunks_exact(plain.dim)) {
        other.add(*name, &row.iter().map(|v| v * 1.01).collect::<Vec<_>>());
    }
    cache.save(&other).unwrap();
    let (cls, used) = features(&cache, &model, all.as_ref(), ImageFeatureSpec::CLS);
    assert!(near(&cls, &plain.columns(12, 24)) && used == 0);
    assert_eq!(features(&cache, &model, all.as_ref(), DEEP), (plain, 0));
}

#[test]
fn the_oldest_make_room() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), [0; 4000]).unwrap();
    let bytes = 5 * (12 * 4 + 32) + 24 + 32;
    let cache = FeatureDiskCache::in_folder(folder.path(), 2 * bytes + 10);
    for seed in 0..4 {
        features(&cache, &backbone(seed), scenes(5).as_ref(), ImageFeatureSpec::CLS);
        for path in files_in(folder.path()).iter().filter(|p| p.extension().unwrap() == "features") {
            // Clocks of file systems are coarse: each is made a minute older.
            let file = std::fs::File::options().append(true).open(path).unwrap();
            let at = file.metadata().unwrap().modified().unwrap();
            file.set_modified(at - std::time::Duration::from_secs(60)).unwrap();
        }
    }
    assert_eq!(files_in(folder.path()).len(), 3, "two of four, and what is not ours");
    for (seed, used) in [(3, 5), (2, 5), (0, 0)] {
        assert_eq!(
            features(&cache, &backbone(seed), scenes(5).as_ref(), ImageFeatureSpec::CLS).1,
            used,
            "{seed}"
        );
    }
    // More rows than there is room for: as many as fit are kept.
    let small = FeatureDiskCache::in_folder(folder.path(), bytes);
    let (all, _) = features(&small, &backbone(9), scenes(20).as_ref(), ImageFeatureSpec::CLS);
    assert_eq!(all.labels.len(), 20);
    assert!((1..20).contains(&features(&small, &backbone(9), scenes(20).as_ref(), ImageFeatureSpec::CLS).1));
}

#[test]
fn a_picture_is_known_by_its_pixels_and_sides() {
    let picture = scenes::draw(1, 0, 8).picture;
    let mut other = picture.clone();
    other.rgb[100] ^= 1;
    let wide = Picture::of_rgb(16, 4, picture.rgb.clone());
    assert_eq!(name(&picture), name(&picture.clone()));
    assert!(name(&picture) != name(&other) && name(&picture) != name(&wide));
    // What lies behind the first three channels counts, and so does how many there are.
    let four = |last: u8| name(&Picture::of_planes(1, 1, &[&[1], &[2], &[3], &[last]]));
    let three = name(&Picture::of_planes(1, 1, &[&[1], &[2], &[3]]));
    assert!(four(0) != four(9) && four(0) != three);
}

#[test]
fn a_backbone_is_known_by_sizes_and_values() {
    let of = |backbone: &Vit| block_on(digest(backbone)).unwrap();
    assert_eq!(of(&backbone(1)), of(&backbone(1)));
    assert_ne!(of(&backbone(1)), of(&backbone(2)));
    let mut resampled = backbone(1);
    resampled.config.interpolation = dinoscope_model::PosEmbedInterpolation::ANTIALIAS;
    assert_ne!(of(&backbone(1)), of(&resampled));
}
