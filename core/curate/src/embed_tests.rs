#![allow(clippy::unwrap_used)]

use super::*;
use crate::names;
use dinoscope_data::source::PictureSource;
use dinoscope_data::source::gathered::{SourceOptions, gather};
use dinoscope_data::source::procedural::ProceduralSource;
use dinoscope_model::VitConfig;

/// A small model, and what its features are called.
fn model(seed: u64) -> (Vit, FeatureOrigin) {
    let backbone = Vit::init(&VitConfig::new(28, 14, 12, 3, 1), seed, &Device::flex());
    let origin = FeatureOrigin {
        weights: format!("weights-{seed}"),
        digest: hex(&[seed as u8; 32]),
        dim: 12,
        size: 28,
        depth_range: "fixed".to_owned(),
        mirrored: false,
    };
    (backbone, origin)
}

fn draw(path: &Path, i: usize) {
    let picture = ProceduralSource::new(5, 64, 40).load(i).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_raw(40, 40, picture.rgb).unwrap().save(path).unwrap();
}

struct Heap {
    folder: tempfile::TempDir,
    options: EmbedOptions,
}

impl Heap {
    fn new(pictures: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        (0..pictures).for_each(|i| draw(&folder.path().join(format!("heap/{}/{i:02}.png", i % 2)), i));
        let options = EmbedOptions {
            places: vec![folder.path().join("heap")],
            out: folder.path().join("out"),
            table: names::EMBED.to_owned(),
            batch: 3,
            part: 4,
            range: IntensityRange::Fixed,
        };
        Self { folder, options }
    }

    fn embed(&self, seed: u64, heard: Heard<'_>) -> Result<EmbedSummary, CurateError> {
        let (backbone, origin) = model(seed);
        embed(&backbone, &Device::flex(), &origin, &self.options, heard)
    }

    fn table(&self) -> CurationTable {
        CurationTable::read(&self.options.out.join(names::EMBED)).unwrap()
    }
}

#[test]
fn every_picture_is_embedded_once_and_what_is_new_later() {
    let heap = Heap::new(11);
    let whole = |_: usize, _: usize, _: &str| true;
    let first = heap.embed(1, &mut { whole }).unwrap();
    assert_eq!((first.pictures, first.embedded, first.unreadable.len()), (11, 11, 0));
    let rows = heap.table().rows;
    assert!(rows.iter().all(|row| row.kept.is_none() && row.width == Some(40)));
    assert!(rows.iter().all(|row| row.aspect == Some(1.0) && row.blur.unwrap() > 0.0));
    assert!(rows.iter().filter(|row| row.hash.is_some()).count() > 8);
    let labels: Vec<_> = rows.iter().map(|row| row.label.as_deref().unwrap()).collect();
    assert_eq!(labels, [["0"; 6].as_slice(), &["1"; 5]].concat());
    // Features are what the model says, of length 1.
    let (backbone, origin) = model(1);
    let store = FeatureStore::open(&heap.options.out).unwrap();
    for row in &rows {
        let place = store.place(&from_hex(row.digest.as_ref().unwrap()).unwrap()).unwrap();
        let mut found = vec![0.0; 12];
        store.read(&[place], &mut found).unwrap();
        let view = eval_view(&dinoscope_data::decode::decode_file(Path::new(&row.key)).unwrap(), origin.size);
        let (views, device) = ([view], Device::flex());
        let passed = dinoscope_model::features::embed(&backbone, &views, ImageFeatureSpec::CLS, &device);
        let wanted = normalised(&block_on(passed).unwrap()).unwrap();
        assert!(wanted.iter().zip(&found).all(|(a, b)| (a.to_f32() - b).abs() < 2e-3), "{}", row.key);
    }
    // Nothing is done again, also where a picture has another name or comes twice; a changed one is another.
    assert_eq!(heap.embed(1, &mut { whole }).unwrap().embedded, 0);
    let place = |name: &str| heap.folder.path().join("heap").join(name);
    std::fs::rename(place("0/00.png"), place("1/moved.png")).unwrap();
    std::fs::copy(place("1/01.png"), place("1/twice.png")).unwrap();
    draw(&place("0/02.png"), 30);
    draw(&place("new.png"), 31);
    let second = heap.embed(1, &mut { whole }).unwrap();
    assert_eq!((second.pictures, second.embedded), (13, 2));
    let rows = heap.table().rows;
    let of = |name: &str| rows.iter().find(|row| row.key.ends_with(name)).unwrap();
    assert_eq!(of("1/01.png").digest, of("1/twice.png").digest);
    assert_eq!((of("new.png").label.as_deref(), rows.len()), (None, 13));
}

#[test]
fn a_stop_keeps_what_was_done() {
    let heap = Heap::new(12);
    let mut done = 0;
    let stopped = heap.embed(1, &mut |at, all, _| {
        done = at;
        assert_eq!(all, 12);
        at < 8
    });
    assert!(matches!(stopped, Err(CurateError::Stopped)) && done == 8);
    assert!(!heap.options.out.join(names::EMBED).exists(), "half a table is none");
    let rest = heap.embed(1, &mut |_, _, _| true).unwrap();
    // Two batches of three had passed.
    assert_eq!((rest.pictures, rest.embedded), (12, 6));
    // As one that was never stopped.
    let other = Heap::new(12);
    other.embed(1, &mut |_, _, _| true).unwrap();
    let about = |heap: &Heap| -> Vec<_> {
        heap.table().rows.into_iter().map(|row| (row.digest, row.hash, row.blur.map(f32::to_bits))).collect()
    };
    assert_eq!(about(&heap), about(&other));
    // A part that was being written when the program was killed lies beside, and is none.
    std::fs::write(heap.options.out.join("features/0.safetensors.7.tmp"), "half").unwrap();
    assert_eq!(heap.embed(1, &mut |_, _, _| true).unwrap().embedded, 0);
}

#[test]
fn features_of_other_weights_are_refused_by_name() {
    let heap = Heap::new(3);
    heap.embed(1, &mut |_, _, _| true).unwrap();
    let said = heap.embed(2, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said.contains("weights-1") && said.contains("weights-2") && said.contains("--out"), "{said}");
    let (backbone, origin) = model(1);
    let larger = FeatureOrigin { size: 42, ..origin };
    let said = embed(&backbone, &Device::flex(), &larger, &heap.options, &mut |_, _, _| true).unwrap_err();
    assert!(said.to_string().contains("28 pixels"), "{said}");
    // A damaged part is named.
    let parts = heap.options.out.join("features");
    let part = std::fs::read_dir(&parts).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() - 3]).unwrap();
    let said = heap.embed(1, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said.contains(part.to_str().unwrap()) && said.contains("remove it"), "{said}");
    std::fs::remove_file(&part).unwrap();
    assert_eq!(heap.embed(1, &mut |_, _, _| true).unwrap().embedded, 3);
}

#[test]
fn what_cannot_be_used_is_named_and_left_out() {
    let heap = Heap::new(2);
    let place = |name: &str| heap.folder.path().join("heap").join(name);
    std::fs::write(place("broken.png"), "no picture").unwrap();
    std::fs::write(place("broken-too.png"), "no picture").unwrap();
    std::fs::write(place("empty.jpg"), "").unwrap();
    for again in [false, true] {
        let summary = heap.embed(1, &mut |_, _, _| true).unwrap();
        assert_eq!((summary.pictures, summary.embedded), (5, if again { 0 } else { 2 }));
        assert_eq!(summary.unreadable.len(), 3, "{:?}", summary.unreadable);
        let rows = heap.table().rows;
        let broken = rows.iter().find(|row| row.key.ends_with("broken.png")).unwrap();
        assert!(broken.kept == Some(false) && broken.unreadable.is_some() && broken.width.is_none());
    }
    // What is trained from is the rest.
    let list = dinoscope_data::source::listed::read(&heap.options.out.join(names::EMBED)).unwrap();
    assert_eq!(list.entries.len(), 2);
    // Nothing, and what has no files.
    let options = |place: PathBuf| EmbedOptions { places: vec![place], ..heap.options.clone() };
    let (backbone, origin) = model(1);
    std::fs::create_dir(heap.folder.path().join("empty")).unwrap();
    let nothing = options(heap.folder.path().join("empty"));
    let said = embed(&backbone, &Device::flex(), &origin, &nothing, &mut |_, _, _| true).unwrap_err();
    assert!(said.to_string().contains("no pictures"), "{said}");
    assert_eq!(heap.table().rows.len(), 5, "what was there stays");
}

#[test]
fn pictures_in_archives_have_features_too() {
    let heap = Heap::new(4);
    let packed = heap.folder.path().join("heap.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&packed).unwrap());
    for i in 0..4 {
        let file = heap.folder.path().join(format!("heap/{}/{i:02}.png", i % 2));
        zip.start_file(format!("a/{i}.png"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(file).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    let options =
        EmbedOptions { places: vec![heap.options.places[0].clone(), packed], ..heap.options.clone() };
    let (backbone, origin) = model(1);
    let summary = embed(&backbone, &Device::flex(), &origin, &options, &mut |_, _, _| true).unwrap();
    assert_eq!((summary.pictures, summary.embedded), (8, 4), "the same bytes pass once");
    let list = heap.options.out.join(names::EMBED);
    let how = SourceOptions::default();
    let source = gather(&[list], how).unwrap().pop().unwrap().whole(how).source;
    assert_eq!((source.len(), source.load(7).unwrap().width), (8, 40));
}

#[test]
fn a_row_without_a_direction_has_no_features() {
    for broken in [vec![f32::NAN, 1.0], vec![f32::INFINITY, 0.0], vec![0.0, 0.0]] {
        assert_eq!(normalised(&broken), None, "{broken:?}");
    }
    let row: Vec<f32> = normalised(&[3e30, 4e30]).unwrap().into_iter().map(f16::to_f32).collect();
    assert!((row[0] - 0.6).abs() < 1e-3 && (row[1] - 0.8).abs() < 1e-3);
}

#[test]
fn two_views_make_a_picture_and_its_mirror_alike() {
    let heap = Heap::new(2);
    let (backbone, origin) = model(1);
    let origin = FeatureOrigin { mirrored: true, ..origin };
    let source = heap.folder.path().join("heap/0/00.png");
    let mirrored = heap.folder.path().join("heap/0/mirrored.png");
    image::imageops::flip_horizontal(&image::open(&source).unwrap()).save(&mirrored).unwrap();
    embed(&backbone, &Device::flex(), &origin, &heap.options, &mut |_, _, _| true).unwrap();
    let rows = CurationTable::read(&heap.options.out.join(names::EMBED)).unwrap().rows;
    let store = FeatureStore::open(&heap.options.out).unwrap();
    let of = |name: &str| {
        let row = rows.iter().find(|row| row.key.ends_with(name)).unwrap();
        let digest = from_hex(row.digest.as_ref().unwrap()).unwrap();
        let mut features = vec![0.0; 12];
        let place = store.place(&digest).unwrap();
        store.read(&[place], &mut features).unwrap();
        (features, store.picture(&digest).unwrap().clone(), store.read_small(&[place]).unwrap()[0].unwrap())
    };
    let ((a, about, small), (b, other, _)) = (of("0/00.png"), of("mirrored.png"));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2e-3), "{a:?} {b:?}");
    assert!((about.hash.unwrap() ^ other.mirror_hash.unwrap()).count_ones() <= 2);
    assert!(small.iter().any(|pixel| *pixel != small[0]) && about.small.is_none());
    // A folder stays with the views that it has.
    let said = FeatureStore::with_origin(&heap.options.out, &FeatureOrigin { mirrored: false, ..origin });
    assert!(said.err().unwrap().to_string().contains("two views"));
}

/// What a folder of an older version holds: no mirrored hashes, no small pictures, no word of views.
#[test]
fn folders_of_old_are_read() {
    let heap = Heap::new(2);
    let (backbone, origin) = model(1);
    embed(&backbone, &Device::flex(), &origin, &heap.options, &mut |_, _, _| true).unwrap();
    let about = heap.options.out.join("curate.json");
    let text = std::fs::read_to_string(&about).unwrap();
    std::fs::write(&about, text.replace(",\n  \"mirrored\": false", "")).unwrap();
    let store = FeatureStore::open(&heap.options.out).unwrap();
    let pictures: Vec<StoredPicture> = store
        .digests()
        .map(|digest| StoredPicture {
            mirror_hash: None,
            small: None,
            ..store.picture(digest).unwrap().clone()
        })
        .collect();
    let old = heap.folder.path().join("old");
    let mut written = FeatureStore::with_origin(&old, &store.origin).unwrap();
    written.add(&pictures, &vec![half::f16::ONE; 12 * pictures.len()]).unwrap();
    let read = FeatureStore::open(&old).unwrap();
    let digest = pictures[0].digest;
    let place = read.place(&digest).unwrap();
    assert_eq!(read.picture(&digest), Some(&pictures[0]));
    assert!(!read.has_small(&place) && read.read_small(&[place]).unwrap() == [None] && !read.origin.mirrored);
}
