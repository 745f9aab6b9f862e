//! A backbone looking at pictures, without a graph.

use serde_json::json;

use super::measure::{BenchRunner, Way};
use super::prepared::noise;
use super::row::{BenchResult, BenchWorkload};
use super::{BenchError, BenchSizes, unfused};
use crate::fused::packing::CropGroup;
use crate::model::block::VitForwardOptions;
use crate::model::vit::VitInput;
use crate::model::{Vit, presets};
use crate::train::flops;

/// Measures [`Vit::forward`] on a batch, and the same backbone without programs of our own.
///
/// # Errors
/// When the backbone is not known, its patches don't fit the pictures, or the device fails.
pub fn run(sizes: &BenchSizes, bench: &mut BenchRunner) -> Result<Vec<BenchResult>, BenchError> {
    let (side, images) = (sizes.resolution, sizes.images);
    let Some(config) = presets::backbone(&sizes.backbone, side) else {
        let names = presets::NAMES.join(", ");
        return Err(BenchError::Mistake(format!(
            "there is no backbone `{}`; there are {names}",
            sizes.backbone
        )));
    };
    if side == 0 || !side.is_multiple_of(config.patch) {
        let patch = config.patch;
        return Err(BenchError::Mistake(format!("{side} pixels are no whole number of patches of {patch}")));
    }
    let vit = Vit::init(&config, 0, &bench.device);
    let crops = [VitInput { images: noise([images, 3, side, side], 0, &bench.device), masks: None }];
    let ways: Vec<Way> = vec![
        ("model", Box::new(|| drop(vit.forward_packed(&crops, VitForwardOptions::default())))),
        ("unfused", Box::new(|| drop(unfused::forward(&vit, &crops, None)))),
    ];
    let group = CropGroup { count: images, tokens: config.prefix() + (side / config.patch).pow(2) };
    let work = BenchWorkload {
        images,
        tokens: group.count * group.tokens,
        flops: flops::backbone(&config, &[group], 0.0),
    };
    let what = format!("{} at {side}, batch {images}", sizes.backbone);
    let detail = json!({ "backbone": config, "resolution": side, "batch": images });
    let measured = bench.alternate(ways)?;
    let row = |m| BenchResult::new("forward", what.clone(), detail.clone(), m, work, bench);
    Ok(measured.into_iter().map(row).collect())
}
