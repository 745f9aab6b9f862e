//! Mean and deviation of the channels of a collection.

use crate::channels::{ChannelStatistics, fitted};
use crate::source::PictureSource;
use crate::{DataError, Picture};
use dinoscope_base::parallel;

/// Those of a collection, measured on up to `most` pictures that are spread over it. A channel that is the same
/// everywhere has a deviation of 1/255, a step of 8 bits.
///
/// # Errors
/// When none of the pictures can be loaded.
pub fn measured(
    source: &dyn PictureSource,
    channels: usize,
    most: usize,
) -> Result<ChannelStatistics, DataError> {
    let count = source.len().min(most.max(1));
    let mut found: Vec<(usize, Result<ChannelSums, DataError>)> =
        (0..count).map(|i| (i * source.len() / count, Ok(ChannelSums::default()))).collect();
    parallel::for_chunks(&mut found, 1, |_, each| {
        for (index, sums) in each {
            *sums = source.load(*index).map(|picture| ChannelSums::of(&picture, channels));
        }
    });
    let (mut all, mut failure) = (ChannelSums::default(), None);
    for (_, sums) in found {
        match sums {
            Ok(sums) => all.add(&sums),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) if all.pixels == 0 => Err(error),
        _ => Ok(all.statistics(channels)),
    }
}

/// Sums over pixels, in steps of 8 bits.
#[derive(Default)]
struct ChannelSums {
    pixels: u64,
    /// Of values and of their squares, for each channel.
    sums: Vec<(u64, u64)>,
}

impl ChannelSums {
    fn of(picture: &Picture, channels: usize) -> Self {
        let Some(picture) = fitted(picture, channels) else { return Self::default() };
        let of_channel = |channel| {
            picture.channel(channel).fold((0, 0), |(sum, squares), byte| {
                let value = u64::from(byte);
                (sum + value, squares + value * value)
            })
        };
        let pixels = (picture.width * picture.height) as u64;
        Self { pixels, sums: (0..channels).map(of_channel).collect() }
    }

    fn add(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.sums.resize(self.sums.len().max(other.sums.len()), (0, 0));
        for (all, (sum, squares)) in self.sums.iter_mut().zip(&other.sums) {
            *all = (all.0 + sum, all.1 + squares);
        }
    }

    fn statistics(&self, channels: usize) -> ChannelStatistics {
        let pixels = self.pixels.max(1) as f64;
        let each = |channel: usize| {
            let (sum, squares) = self.sums.get(channel).copied().unwrap_or_default();
            let mean = sum as f64 / pixels;
            let deviation = (squares as f64 / pixels - mean * mean).max(0.0).sqrt();
            ((mean / 255.0) as f32, (deviation.max(1.0) / 255.0) as f32)
        };
        let (mean, deviation) = (0..channels).map(each).unzip();
        ChannelStatistics { mean, deviation }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::source::scenes::ScenesSource;

    #[test]
    fn statistics_of_a_collection_normalise_it() {
        let source = ScenesSource::new(3, 20, 16);
        for channels in [1, 3] {
            let pixels = measured(&source, channels, 20).unwrap();
            assert!(pixels.is_sound() && pixels.channels() == channels);
            for channel in 0..channels {
                let values: Vec<f32> = (0..20)
                    .flat_map(|i| {
                        let all = pixels.normalize(&source.load(i).unwrap());
                        all[channel * 256..][..256].to_vec()
                    })
                    .collect();
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
                assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-2, "{mean} {variance}");
            }
        }
        let opaque = measured(&source, 4, 3).unwrap();
        assert_eq!((opaque.mean[3], opaque.deviation[3]), (1.0, 1.0 / 255.0));
    }
}
