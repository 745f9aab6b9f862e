//! Collections in folders of a test: nothing of this computer is looked at.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use super::*;
use dinoscope_testing::folder;

fn packed(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// So many digits, each a picture with one lit pixel.
fn digits(count: usize) -> String {
    let line = |i: usize| {
        let levels: Vec<&str> = (0..64).map(|at| if at == i % 64 { "16" } else { "0" }).collect();
        format!("{},{}\n", levels.join(","), i % 10)
    };
    (0..count).map(line).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_word_is_one_unless_there_is_a_file_of_that_name() {
    for set in PublicDataset::ALL {
        assert_eq!(PublicDataset::named(set.word()), Some(set));
        assert_eq!(PublicDataset::at(Path::new(set.word())), Some(set));
    }
    for other in ["./stamps", "stamps/", "Digits", "/digits", "digits.csv", "src", ""] {
        assert_eq!(PublicDataset::named(other), None, "{other}");
    }
    assert_eq!(located(Path::new("src")).unwrap(), Path::new("src"));
}

#[test]
fn the_own_folder_comes_first_then_the_usual_ones() {
    let root = folder(&["own/stamps/a/1.png", "share/tuxpaint/stamps/b/1.png"]);
    let at = |place: &str| root.path().join(place);
    write(&at("share/datasets/fashion-mnist/train-images-idx3-ubyte"), &[]);
    for place in ["venv/lib/python3.9", "venv/lib/python3.11", "debian/lib/python3"] {
        let packages = if place.starts_with("debian") { "dist-packages" } else { "site-packages" };
        write(&at(place).join(packages).join("sklearn/datasets/data/digits.csv.gz"), &packed(&digits(9)));
    }
    let lookup = DatasetLookup {
        own: Some(at("own")),
        shares: vec![at("share")],
        pythons: vec![at("nowhere"), at("venv"), at("debian")],
    };
    let found = |lookup: &DatasetLookup, set: PublicDataset| {
        let found = set.located_by(lookup).unwrap();
        found.strip_prefix(root.path()).unwrap().to_string_lossy().replace('\\', "/")
    };
    assert_eq!(found(&lookup, PublicDataset::Stamps), "own/stamps");
    assert_eq!(found(&lookup, PublicDataset::FashionMnist), "share/datasets/fashion-mnist");
    let newest = "venv/lib/python3.11/site-packages/sklearn/datasets/data/digits.csv.gz";
    assert_eq!(found(&lookup, PublicDataset::Digits), newest);
    let without = DatasetLookup { own: None, pythons: vec![at("debian")], ..lookup };
    assert_eq!(found(&without, PublicDataset::Stamps), "share/tuxpaint/stamps");
    assert!(found(&without, PublicDataset::Digits).starts_with("debian/lib/python3/dist-packages/"));
}

#[test]
fn what_is_not_here_is_told_with_its_package_and_the_places() {
    let lookup = DatasetLookup {
        own: Some("/my/sets".into()),
        shares: vec!["/share".into()],
        pythons: vec!["/env".into()],
    };
    let wanted = [
        (
            PublicDataset::FashionMnist,
            "dataset-fashion-mnist",
            "/my/sets/fashion-mnist, /share/datasets/fashion-mnist",
        ),
        (PublicDataset::Digits, "pip install scikit-learn", "/my/sets/digits, the Python in /env"),
        (PublicDataset::Stamps, "tuxpaint-stamps-default", "/my/sets/stamps, /share/tuxpaint/stamps"),
    ];
    for (set, package, places) in wanted {
        let said = set.located_by(&lookup).unwrap_err().to_string().replace('\\', "/");
        assert!(said.starts_with(&format!("{set}: it is not on this computer")), "{said}");
        assert!(
            said.contains(package) && said.contains(DATASETS_VARIABLE) && said.ends_with(places),
            "{said}"
        );
    }
}

#[test]
fn digits_are_split_in_order_and_become_grey() {
    let root = folder(&[]);
    let file = root.path().join("digits.csv.gz");
    write(&file, &packed(&digits(31)));
    let [train, test] =
        [IdxSplit::Train, IdxSplit::Test].map(|split| half(PublicDataset::Digits, &file, split).unwrap());
    assert_eq!((train.len(), test.len(), train.classes().len()), (20, 11, 10));
    assert_eq!((test.name(0), test.label(0), train.label(19)), ("digit 20".to_owned(), Some(0), Some(9)));
    let picture = test.load(2).unwrap();
    assert_eq!((picture.width, picture.height), (8, 8));
    let lit: Vec<usize> = (0..64).filter(|at| picture.rgb[3 * at] == 255).collect();
    assert_eq!((lit, picture.rgb.iter().filter(|v| **v == 0).count()), (vec![22], 3 * 63));

    for (bad, said) in [
        (digits(3).replace("16", "17"), "line 1 is not 64 levels"),
        (digits(3) + "1,2,3\n", "line 4 is not"),
        (digits(1), "too few"),
    ] {
        write(&file, &packed(&bad));
        let error = DigitsSource::open(&file, IdxSplit::Train).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("install scikit-learn again"), "{error}");
    }
    let mut torn = packed(&digits(30));
    torn.truncate(40);
    write(&file, &torn);
    assert!(DigitsSource::open(&file, IdxSplit::Train).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn mirror_images_of_pictures_beside_them_are_left_out() {
    let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
    let all = paths(&[
        "a/car.png",
        "a/car_mirror.png",
        "a/dog_mirror.png",
        "b/car_flip.png",
        "b/x.png",
        "b/x_flip.png",
    ]);
    assert_eq!(without_mirrored(all), paths(&["a/car.png", "a/dog_mirror.png", "b/car_flip.png", "b/x.png"]));
}
