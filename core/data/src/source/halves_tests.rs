//! Data sets as they are unpacked, and folders that only look like them.

use std::path::Path;

use super::*;

/// The halves of pictures at these places below `/data/root`.
fn halves(places: &[&str]) -> Option<SplitFolder> {
    let root = Path::new("/data/root");
    let mut files: Vec<PathBuf> = places.iter().map(|place| root.join(place)).collect();
    files.sort();
    SplitFolder::of(root, &files)
}

fn labelled(half: &SplitFolderSource) -> Vec<(String, Option<String>)> {
    let class = |index: usize| half.label(index).map(|label| half.classes()[label].clone());
    (0..half.len()).map(|index| (half.name(index).replace('\\', "/"), class(index))).collect()
}

fn origins(places: &[&str]) -> (String, String) {
    let halves = halves(places).unwrap();
    let judged = halves.judged().unwrap();
    (halves.train(true).origin, judged.origin)
}

#[test]
fn roles_are_told_by_names() {
    for name in
        ["train", "Training", "TRAIN", "train2017", "seg_train", "training_set", "trainset", "Train Images"]
    {
        assert_eq!(DatasetSplit::of(name), Some(DatasetSplit::Train), "{name}");
    }
    for name in ["val", "Valid", "validation", "VAL", "val2017", "ILSVRC2012_img_val", "dev", "valset"] {
        assert_eq!(DatasetSplit::of(name), Some(DatasetSplit::Validation), "{name}");
    }
    for name in ["test", "Testing", "test_images", "TEST-DATA"] {
        assert_eq!(DatasetSplit::of(name), Some(DatasetSplit::Test), "{name}");
    }
    for name in ["cat", "trains", "train station", "steam_train", "images", "set", "", "train_val", "contest"]
    {
        assert_eq!(DatasetSplit::of(name), None, "{name}");
    }
}

#[test]
fn the_usual_layout_learns_from_one_half_and_judges_the_other() {
    let halves = halves(&[
        "train/sea/1.png",
        "train/apple/deep/1.png",
        "val/apple/1.png",
        "val/sea/2.png",
        "banner.png",
    ])
    .unwrap();
    assert!(halves.can_judge() && halves.has_classes());
    let (train, judged) = (halves.train(true), halves.judged().unwrap());
    assert_eq!((train.origin(), judged.origin()), (Some("root/train"), Some("root/val")));
    let class = |name: &str| Some(name.to_owned());
    let want = [("train/apple/deep/1.png", "apple"), ("train/sea/1.png", "sea")];
    assert_eq!(labelled(&train), want.map(|(name, of)| (name.to_owned(), class(of))));
    assert_eq!(train.notes(), ["pictures beside the halves are not looked at: 1"]);
    let want = [("val/apple/1.png", "apple"), ("val/sea/2.png", "sea")];
    assert_eq!(labelled(&judged), want.map(|(name, of)| (name.to_owned(), class(of))));
    assert!(halves.train(false).classes().is_empty());
    let all = halves.all(true);
    assert_eq!((all.len(), all.classes()), (5, ["apple", "sea"].map(str::to_owned).as_slice()));
    assert_eq!(all.origin(), Some("root/train and root/val together"));
    assert_eq!(halves.names(), "root/train and root/val");
}

#[test]
fn halves_go_by_many_names_and_lie_deeper() {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(origins(&["Train/a/1.png", "Test/a/1.png"]), pair("root/Train", "root/Test"));
    assert_eq!(
        origins(&["training/a/1.png", "validation/a/1.png"]),
        pair("root/training", "root/validation")
    );
    // Archives unpack into a folder, some into two.
    assert_eq!(
        origins(&["imagenette2/train/a/1.png", "imagenette2/val/a/1.png"]),
        pair("root/imagenette2/train", "root/imagenette2/val")
    );
    assert_eq!(
        origins(&["ILSVRC/Data/CLS-LOC/train/n01/1.JPEG", "ILSVRC/Data/CLS-LOC/val/n01/2.JPEG"]),
        pair("root/ILSVRC/Data/CLS-LOC/train", "root/ILSVRC/Data/CLS-LOC/val")
    );
    let twice = halves(&["seg_train/seg_train/sea/1.jpg", "seg_test/seg_test/sea/1.jpg"]).unwrap();
    assert_eq!(twice.judged().unwrap().classes(), ["sea"]);
    assert_eq!(twice.train(true).classes(), ["sea"]);
    assert_eq!(
        origins(&["a/train/1.png", "a/val/2.png", "b/train/3.png"]),
        pair("root/*/train", "root/*/val")
    );
}

#[test]
fn of_several_halves_the_one_to_choose_with_judges() {
    let three = halves(&["train/a/1.png", "test/a/1.png", "valid/a/1.png"]).unwrap();
    let judged = three.judged().unwrap();
    assert_eq!(
        (judged.origin(), judged.notes()),
        (Some("root/valid"), ["root/test is not looked at".to_owned()].as_slice())
    );
    // One without classes can't; one to learn from never does.
    let flat = halves(&["train/a/1.png", "val/1.png", "test/a/1.png", "train2/a/1.png"]).unwrap();
    assert_eq!(flat.judged().unwrap().origin(), Some("root/test"));
    assert_eq!(flat.train(true).origin(), Some("root/train"));
}

#[test]
fn halves_that_can_not_judge_are_halves_all_the_same() {
    let flat = halves(&["train/1.png", "test/1.png"]).unwrap();
    assert!(!flat.can_judge() && !flat.has_classes() && flat.all(true).classes().is_empty());
    let apart = halves(&["train/a/1.png", "test/b/1.png"]).unwrap();
    assert!(!apart.can_judge() && apart.has_classes());
    assert_eq!(apart.all(true).classes(), ["a", "b"]);
}

#[test]
fn a_class_called_train_stays_a_class() {
    assert!(halves(&["train/1.png", "car/1.png", "plane/1.png"]).is_none());
    assert!(halves(&["train/day/1.png", "test/day/1.png", "car/day/1.png"]).is_none());
    assert!(halves(&["train/a/1.png", "train/b/1.png"]).is_none(), "nothing to test");
    assert!(halves(&["val/a/1.png", "test/a/1.png"]).is_none(), "nothing to learn from");
    assert!(halves(&["1.png", "2.png"]).is_none());
    assert!(halves(&["cat/train/1.png", "cat/val/1.png", "dog/1.png"]).is_none());
}
