#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dinoscope_core::analysis::npy;
use dinoscope_core::device::block_on;

use super::*;
use crate::platform::tasks::Wake;
use crate::studio::explore::gallery_loader::{GalleryLoader, GalleryLoaderEvent};

/// A photograph that is larger than all that is made of it.
fn photograph(folder: &Path, name: &str) -> ImageOrigin {
    let path = folder.join(name);
    let picture = image::RgbImage::from_fn(900, 600, |x, y| image::Rgb([x as u8, y as u8, (x + y) as u8]));
    picture.save(&path).unwrap();
    ImageOrigin::File(path)
}

/// What was made until `count` pictures were done with.
fn made(intake: &GalleryLoader, count: usize) -> (Vec<PictureId>, Vec<PictureId>) {
    let (mut thumbs, mut large, mut done) = (Vec::new(), Vec::new(), 0);
    while done < count {
        match intake.news.recv_blocking().unwrap() {
            GalleryLoaderEvent::Thumb(id, Ok(_)) => thumbs.push(id),
            GalleryLoaderEvent::Shown(id, Ok(_)) => large.push(id),
            GalleryLoaderEvent::Rough(..) => panic!("all pixels were there"),
            GalleryLoaderEvent::Done(_) => done += 1,
            _ => panic!("something else"),
        }
    }
    thumbs.sort_unstable();
    (thumbs, large)
}

#[test]
fn a_picture_is_decoded_once_for_everything_that_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let wishes: Vec<Wish> = (0..6).map(|id| (id, photograph(folder.path(), &format!("{id}.jpg")))).collect();
    let intake = GalleryLoader::start(&(Arc::new(|| ()) as Wake));
    let shape = ModelViewShape { resolution: 224, patch: 14, channels: RGB };
    intake.pixels.expect(shape, (0..6).collect());
    let _ = intake.pixels.want(wishes.clone(), wishes[..1].to_vec());
    // The frames go on wishing until they have heard of the result.
    let ended = Arc::new(AtomicBool::new(false));
    let frames = {
        let (pixels, wishes, ended) = (intake.pixels.clone(), wishes.clone(), ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let _ = pixels.want(wishes.clone(), wishes[..1].to_vec());
                std::thread::sleep(REST / 8);
            }
        })
    };
    // Meanwhile the model looks at all of them.
    let looker = {
        let (pixels, wishes) = (intake.pixels.clone(), wishes.clone());
        std::thread::spawn(move || {
            let view = |(id, origin): &Wish| block_on(pixels.view(*id, origin, shape)).unwrap();
            wishes.iter().map(view).collect::<Vec<_>>()
        })
    };
    let (thumbs, large) = made(&intake, 6);
    std::thread::sleep(REST);
    ended.store(true, Ordering::Relaxed);
    frames.join().unwrap();
    let views = looker.join().unwrap();
    assert_eq!((thumbs, large), ((0..6).collect(), vec![0]));
    assert_eq!(intake.pixels.decoded(), 6);
    assert!(views.iter().all(|view| (view.width, view.height) == (336, 224)));
    // As if it had been given the whole picture, though half of it was decoded.
    let ImageOrigin::File(path) = &wishes[3].1 else { panic!("a file") };
    let whole = dinoscope_core::data::decode::decode_file(path).unwrap();
    let of_whole = whole_view(&whole, 224, 14);
    let apart: u64 = of_whole.rgb.iter().zip(&views[3].rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let apart = apart as f64 / of_whole.rgb.len() as f64;
    assert!(apart < 0.5, "{apart} levels");
    assert_eq!(whole_view(&views[3], 224, 14), *views[3], "a view of a view");
    // What was drawn large is kept, for instance to be looked at more closely.
    let closer = ModelViewShape { resolution: 448, patch: 14, channels: RGB };
    assert_eq!(block_on(intake.pixels.view(0, &wishes[0].1, closer)).unwrap().height, 448);
    assert_eq!(intake.pixels.decoded(), 6);
    // Heard of, and wished for again: its thumbnail was given up meanwhile.
    intake.pixels.heard(4);
    intake.pixels.want(vec![wishes[4].clone()], Vec::new());
    assert_eq!(made(&intake, 1).0, [4]);
}

#[test]
fn no_more_pixels_are_made_than_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jpg");
    image::RgbImage::from_fn(4032, 3024, |x, y| image::Rgb([x as u8, y as u8, 9])).save(&path).unwrap();
    let origin = ImageOrigin::File(path);
    let wish: Wish = (0, origin.clone());
    let pixels = PixelStore::default();
    let decode = || {
        assert!(matches!(pixels.next(true), Some(DecodeJob::Decode(0, _))));
        let (decoded, made) = block_on(pixels.decode(0, &origin)).unwrap();
        pixels.heard(0);
        assert_eq!(decoded.size, (4032, 3024), "what is told of it");
        ((decoded.picture.width, decoded.picture.height), made)
    };
    pixels.want(vec![wish.clone()], Vec::new());
    assert_eq!(decode(), ((128, 96), DecodeTargets { thumb: true, ..DecodeTargets::default() }));
    pixels.expect(ModelViewShape { resolution: 224, patch: 14, channels: RGB }, HashSet::from([0]));
    assert_eq!(decode().0, (598, 448));
    pixels.want(vec![wish.clone()], vec![wish.clone()]);
    assert_eq!(decode(), ((1920, 1440), DecodeTargets { thumb: true, large: true, rough: false }));
    // What was drawn large is enough for a closer look, and not for who needs all.
    let closer = ModelViewShape { resolution: 448, patch: 14, channels: RGB };
    assert!(matches!(pixels.ask(0, &origin, Some(closer)), Ok(PixelLookup::Decoded(_))));
    assert_eq!(pixels.decoded(), 3);
    let Ok(PixelLookup::Coming(answer)) = pixels.ask(0, &origin, None) else { panic!("decoded again") };
    assert_eq!(decode().0, (4032, 3024));
    assert_eq!(answer.try_recv().unwrap().unwrap().picture.width, 4032);
}

#[test]
fn the_model_does_not_wait_for_what_is_drawn_large() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jpg");
    image::RgbImage::from_fn(4032, 3024, |x, y| image::Rgb([x as u8, y as u8, 9])).save(&path).unwrap();
    // As large as a photograph: what follows a JPEG's end is nobody's.
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&vec![0; 1 << 20]).unwrap();
    let origin = ImageOrigin::File(path);
    let wish: Wish = (0, origin.clone());
    let pixels = PixelStore::default();
    let shape = ModelViewShape { resolution: 224, patch: 14, channels: RGB };
    let decode = || {
        assert!(matches!(pixels.next(false), Some(DecodeJob::Decode(0, _))));
        let (decoded, made) = block_on(pixels.decode(0, &origin)).unwrap();
        pixels.heard(0);
        (decoded.picture.width, made)
    };
    let wished = || pixels.want(Vec::new(), vec![wish.clone()]);
    wished();
    pixels.expect(shape, HashSet::from([0]));
    let rough = DecodeTargets { rough: true, ..DecodeTargets::default() };
    let large = DecodeTargets { large: true, ..DecodeTargets::default() };
    assert_eq!(decode(), (598, rough));
    assert!(matches!(pixels.ask(0, &origin, Some(shape)), Ok(PixelLookup::View(_))));
    // The model looks, and takes its time.
    assert!(pixels.next(false).is_none());
    std::thread::sleep(REST);
    assert_eq!(decode(), (1920, large));
    assert_eq!((pixels.decoded(), pixels.state().views.len()), (2, 0), "nothing is made that nobody fetches");
    // Another shape: its pixels are at hand now.
    let closer = ModelViewShape { resolution: 448, patch: 14, channels: RGB };
    pixels.expect(closer, HashSet::from([0]));
    assert!(matches!(pixels.ask(0, &origin, Some(closer)), Ok(PixelLookup::Decoded(_))));
    // A picture that was looked at before is decoded once for what is drawn.
    let pixels = PixelStore::default();
    pixels.expect(shape, HashSet::new());
    pixels.want(Vec::new(), vec![wish.clone()]);
    assert!(matches!(pixels.next(false), Some(DecodeJob::Decode(0, _))));
    assert_eq!(block_on(pixels.decode(0, &origin)).unwrap().1, large);
}

#[test]
fn who_needs_more_than_was_begun_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let origin = photograph(folder.path(), "late.jpg");
    let pixels = PixelStore::default();
    let state = || pixels.state();
    let Ok(PixelLookup::Coming(all)) = pixels.ask(0, &origin, None) else { panic!("nothing is there") };
    let small = DecodedPicture {
        picture: Picture::of_rgb(90, 60, vec![0; 90 * 60 * 3]),
        size: (900, 600),
        depth: None,
    };
    let small = Ok(Arc::new(small));
    state().urgent.clear();
    state().hand_out(0, &origin, &small, RGB);
    assert!(all.try_recv().is_err() && state().urgent.len() == 1);
    let (decoded, _) = block_on(pixels.decode(0, &origin)).unwrap();
    assert_eq!((decoded.picture.width, all.try_recv().unwrap().unwrap().picture.width), (900, 900));
}

#[test]
fn kept_pixels_are_bounded() {
    let mut state = PixelStoreState::default();
    let picture = |id: PictureId, bytes: usize| {
        let picture = Picture::of_rgb(1, 1, vec![0; bytes]);
        let decoded = Arc::new(DecodedPicture { picture, size: (1, 1), depth: None });
        KeptPicture { id, channels: RGB, decoded }
    };
    (0..3).for_each(|id| state.keep(picture(id, 3)));
    state.keep(picture(1, 3));
    assert_eq!(state.kept.len(), 3);
    state.keep(picture(7, CACHE + 1));
    assert_eq!(state.kept.len(), 1, "the newest one alone");
}

#[test]
fn who_waits_when_decoding_ends_is_told() {
    let pixels = Arc::new(PixelStore::default());
    let waits = {
        let pixels = pixels.clone();
        std::thread::spawn(move || block_on(pixels.load(3, &ImageOrigin::Scene(3))).is_err())
    };
    while pixels.state().waiting.is_empty() && !waits.is_finished() {
        std::thread::yield_now();
    }
    pixels.close();
    assert!(waits.join().unwrap());
    assert!(block_on(pixels.load(4, &ImageOrigin::Scene(4))).is_err());
}

#[test]
fn what_is_looked_at_comes_before_thumbnails() {
    let pixels = PixelStore::default();
    let scene = |id: PictureId| (id, ImageOrigin::Scene(id as usize));
    pixels.want(vec![scene(0), scene(1), scene(2)], vec![scene(2)]);
    let taken = |thumbs: bool| match pixels.next(thumbs) {
        Some(DecodeJob::Decode(id, _)) => Some(id),
        _ => None,
    };
    assert_eq!((taken(true), taken(true), taken(false)), (Some(2), None, None));
    // Who asks for what is being decoded waits for that.
    assert!(matches!(pixels.ask(2, &ImageOrigin::Scene(2), None), Ok(PixelLookup::Coming(_))));
    assert_eq!(taken(false), None);
    let (_, made) = block_on(pixels.decode(2, &ImageOrigin::Scene(2))).unwrap();
    assert_eq!(made, DecodeTargets { thumb: true, large: true, rough: false });
    assert_eq!((taken(false), taken(true), taken(true), taken(true)), (None, Some(0), Some(1), None));
}

#[test]
fn while_the_model_looks_at_what_is_drawn_large_the_cores_are_its_own() {
    let pixels = PixelStore::default();
    let scene = |id: PictureId| (id, ImageOrigin::Scene(id as usize));
    let shape = ModelViewShape { resolution: 224, patch: 14, channels: RGB };
    let taken = || match pixels.next(true) {
        Some(DecodeJob::Decode(id, _)) => Some(id),
        _ => None,
    };
    let decode = |id: PictureId| block_on(pixels.decode(id, &scene(id).1)).unwrap();
    let begin = || {
        pixels.expect(shape, HashSet::from([0, 1]));
        pixels.want(vec![scene(1), scene(2), scene(3)], vec![scene(0)]);
    };
    begin();
    assert_eq!(taken(), Some(0));
    decode(0);
    assert_eq!(pixels.want(vec![scene(1), scene(2), scene(3)], Vec::new()), Some(REST));
    assert_eq!(taken(), None);
    // What the model waits for never waits.
    assert!(matches!(pixels.ask(5, &scene(5).1, Some(shape)), Ok(PixelLookup::Coming(_))));
    assert_eq!((taken(), taken()), (Some(5), None));
    decode(5);
    // A slow model: one hand goes on.
    std::thread::sleep(REST);
    assert_eq!((taken(), taken()), (Some(1), None));
    decode(1);
    assert_eq!((taken(), taken()), (Some(2), None));
    // It was looked at: all hands again.
    pixels.expect(shape, HashSet::from([1]));
    assert_eq!((taken(), taken()), (Some(3), None));
    assert_eq!(pixels.want(vec![scene(3)], Vec::new()), None);
    // So are they while a picture is decoded that it waits for, before that is known to be drawn large.
    decode(3);
    pixels.heard(3);
    pixels.expect(shape, HashSet::from([4]));
    assert!(matches!(pixels.ask(4, &scene(4).1, Some(shape)), Ok(PixelLookup::Coming(_))));
    assert_eq!((taken(), taken()), (Some(4), None));
    decode(4);
    assert_eq!(taken(), Some(3));
}

#[test]
fn a_wish_that_is_taken_is_not_taken_again_for_who_waits() {
    let pixels = PixelStore::default();
    let scene = |id: PictureId| (id, ImageOrigin::Scene(id as usize));
    // The model asks first, and before a hand has come the picture is to be drawn large too.
    assert!(matches!(pixels.ask(0, &ImageOrigin::Scene(0), None), Ok(PixelLookup::Coming(_))));
    pixels.want(vec![scene(0)], vec![scene(0)]);
    assert!(matches!(pixels.next(true), Some(DecodeJob::Decode(0, _))));
    assert!(pixels.next(true).is_none() && pixels.next(false).is_none());
    // The other way round.
    let pixels = PixelStore::default();
    pixels.want(vec![scene(1)], Vec::new());
    assert!(matches!(pixels.ask(1, &ImageOrigin::Scene(1), None), Ok(PixelLookup::Coming(_))));
    assert!(matches!(pixels.next(true), Some(DecodeJob::Decode(1, _))));
    assert!(pixels.next(true).is_none());
}

#[test]
fn an_array_of_any_channels_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let origin = |name: &str| ImageOrigin::File(folder.path().join(name));
    let values = vec![0.5; 5 * 8 * 8];
    std::fs::write(folder.path().join("five.npy"), npy::encode(&[5, 8, 8], &values).unwrap()).unwrap();
    image::RgbImage::new(8, 8).save(folder.path().join("colours.png")).unwrap();
    for (name, asked, found) in
        [("five.npy", RGB, 5), ("five.npy", 5, 5), ("colours.png", 5, RGB), ("colours.png", 1, 1)]
    {
        let decoded = block_on(decoded(&origin(name), None, asked)).unwrap();
        assert_eq!(decoded.picture.channels, found, "{name} for {asked}");
    }
    // What a model of other channels will not take is kept as such: it is not asked for again and again.
    let need = PixelNeed { least: None, channels: Some(5) };
    let colours = block_on(decoded(&origin("colours.png"), None, 5)).unwrap();
    assert!(need.met_by(&colours, 5) && !need.met_by(&colours, RGB));
}
