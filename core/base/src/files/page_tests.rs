//! The memory against the disk, step by step.
#![allow(clippy::unwrap_used)]

use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::*;

/// A step that both worlds take.
enum Step {
    Dir(&'static str),
    Dirs(&'static str),
    Write(&'static str, &'static str),
    Append(&'static str, &'static str),
    New(&'static str),
    Rename(&'static str, &'static str),
    File(&'static str),
    Folder(&'static str),
    Read(&'static str),
    List(&'static str),
    Tail(&'static str, i64),
}

/// What came of a step: text, or the kind of error.
type Came = std::result::Result<String, ErrorKind>;

/// One world's functions under one name.
macro_rules! take {
    ($world:path, $root:expr, $step:expr) => {{
        use $world as world;
        let root: &Path = $root;
        let took = || -> std::io::Result<String> {
            let done = |result: std::io::Result<()>| result.map(|()| String::new());
            match $step {
                Step::Dir(path) => done(world::create_dir(root.join(path))),
                Step::Dirs(path) => done(world::create_dir_all(root.join(path))),
                Step::Write(path, text) => done(world::write(root.join(path), text)),
                Step::Append(path, text) => {
                    let mut file = world::OpenOptions::new().append(true).open(root.join(path))?;
                    done(file.write_all(text.as_bytes()))
                }
                Step::New(path) => {
                    world::OpenOptions::new().write(true).create_new(true).open(root.join(path))?;
                    Ok(String::new())
                }
                Step::Rename(from, to) => done(world::rename(root.join(from), root.join(to))),
                Step::File(path) => done(world::remove_file(root.join(path))),
                Step::Folder(path) => done(world::remove_dir_all(root.join(path))),
                Step::Read(path) => {
                    let length = world::metadata(root.join(path))?.len();
                    let text = world::read_to_string(root.join(path))?;
                    assert_eq!(length, text.len() as u64);
                    Ok(text)
                }
                Step::List(path) => {
                    let mut names = Vec::new();
                    for entry in world::read_dir(root.join(path))? {
                        let entry = entry?;
                        let kind = if entry.file_type()?.is_dir() { "/" } else { "" };
                        names.push(format!("{}{kind}", entry.file_name().to_string_lossy()));
                    }
                    names.sort();
                    Ok(names.join(" "))
                }
                Step::Tail(path, by) => {
                    let mut file = BufReader::new(world::File::open(root.join(path))?);
                    file.seek(SeekFrom::End(*by))?;
                    let mut text = String::new();
                    file.read_to_string(&mut text)?;
                    Ok(text)
                }
            }
        };
        took().map_err(|error| error.kind())
    }};
}

#[test]
fn memory_behaves_as_a_disk_does() {
    use Step::*;
    let disk = tempfile::tempdir().unwrap();
    let root = Path::new("/as-a-disk");
    create_dir_all(root).unwrap();
    for (number, step) in [
        Write("no/parent", "x"),
        Dir("no/parent"),
        Dir("a"),
        Dir("a"),
        Dirs("a/b/c"),
        Dirs("a/b/c"),
        Write("a/file", "one"),
        Write("a/file/below", "x"),
        Dirs("a/file"),
        Dirs("a/file/below"),
        Read("a/file/below"),
        Append("a/file", " two"),
        Append("a/none", "x"),
        Read("a/file"),
        Tail("a/file", -3),
        Tail("a/file", -99),
        Read("a/file"),
        Write("a/file", "short"),
        Read("a/file"),
        New("a/file"),
        New("a/new"),
        Write("a", "x"),
        Read("a"),
        Read("nothing"),
        List("a"),
        List("a/file"),
        List("nothing"),
        File("a"),
        Folder("a/file"),
        File("nothing"),
        Folder("nothing"),
        Rename("nothing", "a/x"),
        Rename("a/file", "no/parent"),
        Rename("a/file", "a/b"),
        Rename("a/b", "a/file"),
        Rename("a", "a/b/inside"),
        Rename("a/file", "a/file"),
        Rename("a/file", "a/new"),
        List("a"),
        Read("a/new"),
        Dirs("full/x"),
        Dirs("empty"),
        Rename("a/b", "full"),
        Rename("a/b", "empty"),
        List("empty"),
        List("a"),
        Rename("empty", "moved"),
        Write("moved/c/deep", "deep"),
        Rename("moved", "a/moved"),
        Read("a/moved/c/deep"),
        List(""),
        // Names that sort next to each other.
        Dirs("near"),
        Write("near-by", "1"),
        Write("near.txt", "2"),
        Write("near/in", "3"),
        List("near"),
        Folder("near"),
        List(""),
        Folder("a"),
        List(""),
        Read("a/moved/c/deep"),
    ]
    .iter()
    .enumerate()
    {
        let real: Came = take!(std::fs, disk.path(), step);
        let ours: Came = take!(super, root, step);
        assert_eq!(ours, real, "step {number}");
    }
}

#[test]
fn a_page_s_paths_count_from_its_root() {
    assert!(is_absolute("/given/1/holiday") && is_absolute("/runs/nano-001/"));
    for word in ["scenes", "starter", "holiday/sea", "../holiday", ""] {
        assert!(!is_absolute(word), "{word}");
    }
}

#[test]
fn what_a_person_gave_is_read_where_it_is_kept() {
    let path = PathBuf::from("/given/cat.png");
    apply(vec![FileChange::Outside { path: path.clone(), size: 4 }]);
    assert_eq!(metadata(&path).unwrap().len(), 4);
    assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Unsupported);
    read_outside_with(Box::new(|path| match path.ends_with("cat.png") {
        true => Ok(b"meow".to_vec()),
        false => Err(ErrorKind::NotFound.into()),
    }));
    assert_eq!(read(&path).unwrap(), b"meow");
    let mut file = File::open(&path).unwrap();
    let mut tail = String::new();
    file.seek(SeekFrom::End(-2)).unwrap();
    file.read_to_string(&mut tail).unwrap();
    assert_eq!(tail, "ow");
    let mut more = OpenOptions::new().append(true).open(&path).unwrap();
    assert!(more.write_all(b"!").is_err(), "it is not ours");
    assert_eq!(snapshot("/given")[1], FileChange::Outside { path: path.clone(), size: 4 });
    write(&path, "mine").unwrap();
    assert_eq!(snapshot(&path), [FileChange::Write { path, bytes: b"mine".to_vec() }]);
}
