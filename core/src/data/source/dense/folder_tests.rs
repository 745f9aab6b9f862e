//! Folders as people have them, and what is said of those that are not whole.

use image::{GrayImage, ImageBuffer, Luma, RgbImage};

use super::*;

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

fn refusal(folder: &tempfile::TempDir, truth: Truth) -> String {
    let error = DenseFolder::split(folder.path(), truth, 0).err().unwrap();
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    error.to_string()
}

#[test]
fn two_halves_or_a_split_by_seed() {
    let halves = folder(&[("train:a", 0), ("train:deep/b", 4), ("val:c", 2)]);
    let split = DenseFolder::split(halves.path(), Truth::Classes, 0).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (2, 1));
    assert_eq!(split.test.classes(), ["class 0", "class 1", "class 2", "class 3", "class 4"]);
    assert_eq!(split.train.name(1).replace('\\', "/"), "deep/b.jpg");
    assert_eq!(split.train.load(1, Truth::Classes).unwrap().classes, [4; 6]);
    assert!(split.train.load(1, Truth::Depth).is_err());

    let one = folder(&[("a", 3), ("b", 3), ("c", 3)]);
    files::write(one.path().join(NAMES), "sky\n\nroad\n grass \n\n").unwrap();
    let split = DenseFolder::split(one.path(), Truth::Classes, 0).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (2, 1));
    assert_eq!(split.train.classes(), ["sky", "", "road", "grass"]);
    let split = DenseFolder::split(one.path(), Truth::Depth, 0).unwrap();
    assert!(split.train.classes().is_empty());
    assert_eq!(split.test.load(0, Truth::Depth).unwrap().depth, [0.3; 6]);
    // Arrays do as well.
    let name = split.test.name(0);
    let png = one.path().join(DEPTH).join(&name).with_extension("png");
    files::remove_file(&png).unwrap();
    crate::analysis::npy::write(&png.with_extension("npy"), &[2, 3], &[7.5; 6]).unwrap();
    let split = DenseFolder::split(one.path(), Truth::Depth, 0).unwrap();
    assert_eq!(split.test.load(0, Truth::Depth).unwrap().depth, [7.5; 6]);
}

#[test]
fn what_is_missing_is_named() {
    let folder = folder(&[("a", 0), ("b", 1), ("c", 1)]);
    files::remove_file(folder.path().join("labels/b.png")).unwrap();
    let message = refusal(&folder, Truth::Classes);
    assert!(message.contains("no labels/b.png for images/b.jpg;"), "{message}");
    files::remove_file(folder.path().join("labels/c.png")).unwrap();
    assert!(refusal(&folder, Truth::Classes).contains("1 other"));
    assert!(DenseFolder::split(folder.path(), Truth::Depth, 0).is_ok());
    files::remove_dir_all(folder.path().join(DEPTH)).unwrap();
    assert!(refusal(&folder, Truth::Depth).contains("no depth/ in it"));
    let nowhere = DenseFolder::split(Path::new("no/such"), Truth::Depth, 0).err().unwrap().to_string();
    assert!(nowhere.contains("no/such") && nowhere.contains("images/"), "{nowhere}");
    let half = self::folder(&[("train:a", 0)]);
    assert!(refusal(&half, Truth::Classes).contains("val/"));
    let single = self::folder(&[("a", 0)]);
    assert!(refusal(&single, Truth::Classes).contains("only one"));
}

#[test]
fn truths_that_do_not_fit_their_picture_are_named() {
    let folder = folder(&[("train:a", 5), ("val:b", 1)]);
    let load = || {
        let split = DenseFolder::split(folder.path(), Truth::Classes, 0).unwrap();
        split.train.load(0, Truth::Classes).unwrap_err().to_string()
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
    assert!(refusal(&folder, Truth::Classes).contains("one a line"));
}
