//! Folders as people have them, and what is said of those that are not whole.

use image::{GrayImage, ImageBuffer, Luma, RgbImage};

use super::*;
use crate::source::dense::DepthUnit;

/// Pictures of 3 × 2 pixels with labels of one class each, at the given places under a new folder.
fn folder(names: &[(&str, u8)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, class) in names {
        let (part, file) = name.rsplit_once(':').unwrap_or(("", name));
        let at =
            |kind: &str, ending: &str| folder.path().join(part).join(kind).join(file).with_extension(ending);
        for path in [at(IMAGES, "jpg"), at(LABELS, "png"), at(DEPTH, "png")] {
            files::create_dir_all(path.parent().unwrap()).unwrap();
        }
        RgbImage::from_pixel(3, 2, image::Rgb([*class, 0, 0])).save(at(IMAGES, "jpg")).unwrap();
        GrayImage::from_pixel(3, 2, Luma([*class])).save(at(LABELS, "png")).unwrap();
        let deep = ImageBuffer::from_pixel(3, 2, Luma([u16::from(*class) * 100]));
        deep.save(at(DEPTH, "png")).unwrap();
    }
    folder
}

fn opened(path: &Path, truth: DenseTruthKind) -> Result<DenseSplit, DataError> {
    DenseFolder::split(path, truth, DenseReadOptions::default(), 0)
}

fn refusal(folder: &tempfile::TempDir, truth: DenseTruthKind) -> String {
    let error = opened(folder.path(), truth).err().unwrap();
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    error.to_string()
}

#[test]
fn two_halves_or_a_split_by_seed() {
    let halves = folder(&[("train:a", 0), ("train:deep/b", 4), ("val:c", 2)]);
    let split = opened(halves.path(), DenseTruthKind::Classes).unwrap();
    assert_eq!(
        split.train.load(1, DenseTruthKind::Object).unwrap().classes,
        [1; 6],
        "any class but the first"
    );
    assert_eq!((split.train.len(), split.test.len()), (2, 1));
    assert_eq!(split.test.classes(), ["class 0", "class 1", "class 2", "class 3", "class 4"]);
    assert_eq!(split.train.name(1).replace('\\', "/"), "deep/b.jpg");
    assert_eq!(split.train.load(1, DenseTruthKind::Classes).unwrap().classes, [4; 6]);
    assert!(split.train.load(1, DenseTruthKind::Depth).is_err());

    let one = folder(&[("a", 3), ("b", 3), ("c", 3)]);
    files::write(one.path().join(NAMES), "sky\n\nroad\n grass \n\n").unwrap();
    let split = opened(one.path(), DenseTruthKind::Classes).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (2, 1));
    assert_eq!(split.train.classes(), ["sky", "", "road", "grass"]);
    let split = opened(one.path(), DenseTruthKind::Depth).unwrap();
    assert!(split.train.classes().is_empty());
    assert_eq!(split.test.load(0, DenseTruthKind::Depth).unwrap().depth, [0.3; 6]);
    // Arrays do as well.
    let name = split.test.name(0);
    let png = one.path().join(DEPTH).join(&name).with_extension("png");
    files::remove_file(&png).unwrap();
    std::fs::write(png.with_extension("npy"), dinoscope_base::npy::encode(&[2, 3], &[7.5; 6]).unwrap())
        .unwrap();
    let split = opened(one.path(), DenseTruthKind::Depth).unwrap();
    assert_eq!(split.test.load(0, DenseTruthKind::Depth).unwrap().depth, [7.5; 6]);
}

#[test]
fn what_is_missing_is_named() {
    let folder = folder(&[("a", 0), ("b", 1), ("c", 1)]);
    files::remove_file(folder.path().join("labels/b.png")).unwrap();
    let message = refusal(&folder, DenseTruthKind::Classes);
    assert!(message.contains("no labels/b.png for images/b.jpg;"), "{message}");
    files::remove_file(folder.path().join("labels/c.png")).unwrap();
    assert!(refusal(&folder, DenseTruthKind::Classes).contains("1 other"));
    assert!(opened(folder.path(), DenseTruthKind::Depth).is_ok());
    files::remove_dir_all(folder.path().join(DEPTH)).unwrap();
    assert!(refusal(&folder, DenseTruthKind::Depth).contains("no depth/ in it"));
    let nowhere = opened(Path::new("no/such"), DenseTruthKind::Depth).err().unwrap().to_string();
    assert!(nowhere.contains("no/such") && nowhere.contains("images/"), "{nowhere}");
    let half = self::folder(&[("train:a", 0)]);
    assert!(refusal(&half, DenseTruthKind::Classes).contains("val/"));
    let single = self::folder(&[("a", 0)]);
    assert!(refusal(&single, DenseTruthKind::Classes).contains("only one"));
}

#[test]
fn truths_that_do_not_fit_their_picture_are_named() {
    let folder = folder(&[("train:a", 5), ("val:b", 1)]);
    let load = || {
        let split = opened(folder.path(), DenseTruthKind::Classes).unwrap();
        split.train.load(0, DenseTruthKind::Classes).unwrap_err().to_string()
    };
    files::write(folder.path().join(NAMES), "sky\nroad\n").unwrap();
    let message = load();
    assert!(
        message.contains("a.png") && message.contains("value 5") && message.contains("0 to 1"),
        "{message}"
    );
    let label = folder.path().join("train/labels/a.png");
    GrayImage::from_pixel(2, 2, Luma([IGNORED])).save(&label).unwrap();
    let message = load();
    assert!(message.contains("2 × 2") && message.contains("3 × 2") && message.contains("a.jpg"), "{message}");
    RgbImage::new(3, 2).save(&label).unwrap();
    assert!(load().contains("palette"));
    files::write(folder.path().join(NAMES), "\n").unwrap();
    assert!(refusal(&folder, DenseTruthKind::Classes).contains("one a line"));
}

#[test]
fn halves_go_by_many_names() {
    let origins = |root: &tempfile::TempDir| {
        let split = opened(root.path(), DenseTruthKind::Classes).unwrap();
        let name = root.path().file_name().unwrap().to_string_lossy().into_owned();
        let words = split.words().replace(&name, "root");
        (split.train.len(), split.test.len(), words)
    };
    let named = folder(&[("Training:a", 0), ("Training:b", 1), ("validation:c", 1), ("Test:d", 1)]);
    let want = "; learns from root/Training, tests on root/validation";
    assert_eq!(origins(&named), (2, 1, want.to_owned()));
    let tests = folder(&[("train:a", 0), ("testing:b", 1)]);
    assert_eq!(origins(&tests).2, "; learns from root/train, tests on root/testing");
    // The halves below images/ and labels/.
    let inverse = folder(&[("train/a", 0), ("train/b", 1), ("val/c", 1)]);
    assert_eq!(
        origins(&inverse),
        (2, 1, "; learns from root/images/train, tests on root/images/val".to_owned())
    );
    let plain = folder(&[("train/a", 0), ("car/b", 1), ("val/c", 1)]);
    assert_eq!(origins(&plain).2, "");
    let split = opened(named.path(), DenseTruthKind::Classes).unwrap();
    let files = split.test.files(0).unwrap();
    let names = (files.picture.as_str(), files.truth.as_str());
    assert_eq!(names, ("validation/images/c.jpg", "validation/labels/c.png"));
}

#[test]
fn a_broken_file_of_labels_ends_nothing_until_it_is_loaded() {
    let root = folder(&[("train:a", 0), ("train:b", 2), ("val:c", 1)]);
    let label = root.path().join("train/labels/a.png");
    let whole = files::read(&label).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"no picture"] {
        files::write(&label, broken).unwrap();
        let split = opened(root.path(), DenseTruthKind::Classes).unwrap();
        assert_eq!(split.train.classes().len(), 3);
        assert!(
            split.train.load(0, DenseTruthKind::Classes).is_err()
                && split.train.load(1, DenseTruthKind::Classes).is_ok()
        );
    }
    for other in ["train/labels/b.png", "val/labels/c.png"] {
        files::write(root.path().join(other), b"").unwrap();
    }
    assert!(refusal(&root, DenseTruthKind::Classes).contains("a.png"), "no file of labels can be read");
}

#[test]
fn masks_of_two_values_are_explained_and_read_when_asked() {
    let root = folder(&[("a", 0), ("b", 255), ("c", 0), ("d", 255)]);
    let said = refusal(&root, DenseTruthKind::Classes);
    assert!(
        said.contains("0 and 255 alone") && said.contains("“not counted”") && said.contains("--binary"),
        "{said}"
    );
    let binary = DenseReadOptions { binary: true, ..DenseReadOptions::default() };
    let split = DenseFolder::split(root.path(), DenseTruthKind::Classes, binary, 0).unwrap();
    assert_eq!(split.train.classes(), ["background", "object"]);
    let of = |source: &dyn DenseSource| -> Vec<(String, u8)> {
        (0..source.len())
            .map(|i| (source.name(i), source.load(i, DenseTruthKind::Classes).unwrap().classes[0]))
            .collect()
    };
    for (name, class) in [of(split.train.as_ref()), of(split.test.as_ref())].concat() {
        assert_eq!(class, u8::from(["b.jpg", "d.jpg"].contains(&name.as_str())), "{name}");
    }
    // With names of one's own; and 255 beside other classes is what it was.
    files::write(root.path().join(NAMES), "lawn\ndog\n").unwrap();
    let split = DenseFolder::split(root.path(), DenseTruthKind::Classes, binary, 0).unwrap();
    assert_eq!(split.test.classes(), ["lawn", "dog"]);
    files::write(root.path().join(NAMES), "lawn\ndog\ncat\n").unwrap();
    let error =
        DenseFolder::split(root.path(), DenseTruthKind::Classes, binary, 0).err().unwrap().to_string();
    assert!(error.contains("3 classes"), "{error}");
    let three = folder(&[("a", 0), ("b", 255), ("c", 1)]);
    assert_eq!(opened(three.path(), DenseTruthKind::Classes).unwrap().train.classes().len(), 2);
}

#[test]
fn a_step_of_a_depth_png_is_worth_what_is_said() {
    let root = folder(&[("train:a", 2), ("val:b", 4)]);
    for (unit, metres, words) in [
        (DepthUnit::Millimetres, 0.2, "depth from 16-bit PNG at 1 mm"),
        (DepthUnit::Centimetres, 2.0, "depth from 16-bit PNG at 1 cm"),
        (DepthUnit::Kitti, 200.0 / 256.0, "depth from 16-bit PNG at 1/256 m"),
    ] {
        let reading = DenseReadOptions { unit, ..DenseReadOptions::default() };
        let split = DenseFolder::split(root.path(), DenseTruthKind::Depth, reading, 0).unwrap();
        assert_eq!(split.train.load(0, DenseTruthKind::Depth).unwrap().depth, [metres as f32; 6]);
        assert!(split.words().ends_with(words), "{}", split.words());
    }
    // Files of numbers are in metres, whatever a step is worth.
    for half in ["train/depth/a", "val/depth/b"] {
        let png = root.path().join(half).with_extension("png");
        files::remove_file(&png).unwrap();
        std::fs::write(png.with_extension("npy"), dinoscope_base::npy::encode(&[2, 3], &[7.5; 6]).unwrap())
            .unwrap();
    }
    let kitti = DenseReadOptions { unit: DepthUnit::Kitti, ..DenseReadOptions::default() };
    let split = DenseFolder::split(root.path(), DenseTruthKind::Depth, kitti, 0).unwrap();
    assert_eq!(split.test.load(0, DenseTruthKind::Depth).unwrap().depth, [7.5; 6]);
    assert!(split.test.measure().is_none());
}

#[test]
fn depth_may_be_a_tiff_of_metres_and_deep_pictures_are_read_as_wished() {
    let root = folder(&[("train:a", 2), ("val:b", 4)]);
    for half in ["train/depth/a", "val/depth/b"] {
        let png = root.path().join(half).with_extension("png");
        files::remove_file(&png).unwrap();
        let metres: image::ImageBuffer<image::Luma<f32>, Vec<f32>> =
            image::ImageBuffer::from_pixel(3, 2, image::Luma([7.5]));
        let mut file = std::fs::File::create(png.with_extension("tiff")).unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
        encoder.write_image::<tiff::encoder::colortype::Gray32Float>(3, 2, metres.as_raw()).unwrap();
    }
    let deep = image::ImageBuffer::from_pixel(3, 2, image::Luma([4095u16]));
    let picture = |half: &str, name: &str| root.path().join(half).join("images").join(name);
    let old = std::fs::read_dir(picture("train", "")).unwrap().next().unwrap().unwrap().path();
    files::remove_file(&old).unwrap();
    deep.save(picture("train", "a.png")).unwrap();
    for (range, level) in [("fixed", 16), ("0..4095", 255)] {
        let reading = DenseReadOptions {
            decode: range.parse::<crate::decode::depth::IntensityRange>().unwrap().into(),
            ..DenseReadOptions::default()
        };
        let split = DenseFolder::split(root.path(), DenseTruthKind::Depth, reading, 0).unwrap();
        let seen = split.train.load(0, DenseTruthKind::Depth).unwrap();
        assert_eq!((seen.depth, seen.picture.rgb[0]), (vec![7.5; 6], level));
        assert!(split.test.measure().is_none(), "floats are metres");
    }
}
