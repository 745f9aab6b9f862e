//! Pictures that are decoded and made small by threads of their own, a few ahead of the model.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use anyhow::{Context, Result, anyhow};
use dinoscope_core::data::decode::{DecodeOptions, decode_file_as};
use dinoscope_core::data::{DataError, Picture};
use dinoscope_core::features::whole_view;

/// Most threads: each has a whole picture in memory.
const THREADS: usize = 8;

/// How pictures are made ready.
#[derive(Clone, Copy)]
pub struct PrefetchOptions {
    /// Shorter side of the view.
    pub resolution: usize,
    /// Side of a patch.
    pub patch: usize,
    /// How files are decoded: as pictures of so many channels as the model takes.
    pub decode: DecodeOptions,
    /// Whether the whole picture is wanted too.
    pub whole: bool,
}

/// A picture for the model.
pub struct PrefetchedImage {
    /// What the model sees.
    pub view: Picture,
    /// The whole picture, where it was wanted.
    pub picture: Option<Picture>,
    /// Its width and height.
    pub size: (usize, usize),
}

impl PrefetchOptions {
    fn make(self, path: &Path) -> Result<PrefetchedImage, DataError> {
        let picture = decode_file_as(path, self.decode)?.picture;
        let view = whole_view(&picture, self.resolution, self.patch);
        let size = (picture.width, picture.height);
        Ok(PrefetchedImage { view, picture: self.whole.then_some(picture), size })
    }
}

/// Pictures in their order, as they become ready.
pub struct ImagePrefetcher {
    threads: Vec<Receiver<Result<PrefetchedImage, DataError>>>,
    turn: usize,
}

impl ImagePrefetcher {
    /// Begins to decode. Each thread makes every n-th picture, one ahead of what is asked for; it ends when this is
    /// dropped.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        paths: &'scope [&'scope PathBuf],
        making: PrefetchOptions,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.min(THREADS).min(paths.len());
        let mut threads = Vec::with_capacity(count);
        for first in 0..count {
            let (sender, ready) = sync_channel(1);
            let work = move || {
                for path in paths.iter().skip(first).step_by(count) {
                    // Nobody asks any more after an error.
                    if sender.send(making.make(path)).is_err() {
                        return;
                    }
                }
            };
            let name = format!("decoder {first}");
            Builder::new().name(name).spawn_scoped(scope, work).context("can't start a thread")?;
            threads.push(ready);
        }
        Ok(Self { threads, turn: 0 })
    }

    /// The next picture; there are as many as paths.
    pub fn next(&mut self) -> Result<Result<PrefetchedImage, DataError>> {
        let turn = self.turn;
        self.turn = (turn + 1) % self.threads.len().max(1);
        let ended = || anyhow!("a thread that decodes pictures has ended");
        self.threads.get(turn).ok_or_else(ended)?.recv().map_err(|_| ended())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_order_whole_or_small_and_errors_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..23)
            .map(|i| {
                let path = folder.path().join(format!("{i}.png"));
                match i {
                    7 => std::fs::write(&path, "broken").unwrap(),
                    _ => image::RgbImage::from_pixel(40 + i, 30, image::Rgb([i as u8, 0, 0]))
                        .save(&path)
                        .unwrap(),
                }
                path
            })
            .collect();
        let paths: Vec<&PathBuf> = paths.iter().collect();
        for whole in [false, true] {
            let making =
                PrefetchOptions { resolution: 16, patch: 8, decode: DecodeOptions::default(), whole };
            std::thread::scope(|scope| {
                let mut ahead = ImagePrefetcher::start(scope, &paths, making).unwrap();
                for i in 0..23 {
                    match ahead.next().unwrap() {
                        Err(error) => assert!(i == 7 && error.to_string().contains("7.png"), "{error}"),
                        Ok(ready) => {
                            assert_eq!((ready.view.rgb[0], ready.view.height), (i as u8, 16));
                            assert_eq!((ready.size, ready.picture.is_some()), ((40 + i, 30), whole));
                        }
                    }
                }
                assert!(ahead.next().is_err());
            });
        }
        // Dropped early, the threads end.
        std::thread::scope(|scope| {
            let making =
                PrefetchOptions { resolution: 16, patch: 8, decode: DecodeOptions::default(), whole: true };
            ImagePrefetcher::start(scope, &paths, making).unwrap().next().unwrap().unwrap();
        });
    }
}
