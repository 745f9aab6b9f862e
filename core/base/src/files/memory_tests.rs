#![allow(clippy::unwrap_used)]

use super::*;

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn files_are_where_they_were_put() {
    let mut memory = MemoryFs::new();
    let file = Path::new("/runs/nano/metrics.jsonl");
    assert_eq!(kind(memory.write(file, b"a")), ErrorKind::NotFound, "the folder is missing");
    memory.create_dir_all(file.parent().unwrap()).unwrap();
    memory.write(file, b"one\n").unwrap();
    memory.append(file, b"two\n").unwrap();
    assert_eq!(memory.read(file).unwrap(), b"one\ntwo\n");
    assert_eq!(memory.read(Path::new("runs/./nano/../nano/metrics.jsonl")).unwrap(), b"one\ntwo\n");
    let mut part = [0; 5];
    assert_eq!(memory.read_at(file, 4, &mut part).unwrap(), 4);
    assert_eq!(&part[..4], b"two\n");
    assert_eq!(memory.read_at(file, 99, &mut part).unwrap(), 0);
    let about = memory.about(file).unwrap();
    assert_eq!((about.len, about.is_dir), (8, false));
    assert_eq!(memory.list(Path::new("/runs")).unwrap(), [PathBuf::from("/runs/nano")]);
    assert_eq!(memory.total_bytes(), 8);
}

#[test]
fn errors_are_those_of_a_disk() {
    let mut memory = MemoryFs::new();
    memory.create_dir_all(Path::new("/a/b")).unwrap();
    memory.write(Path::new("/a/f"), b"").unwrap();
    assert_eq!(kind(memory.read(Path::new("/a/none"))), ErrorKind::NotFound);
    assert_eq!(kind(memory.read(Path::new("/a/b"))), ErrorKind::IsADirectory);
    assert_eq!(kind(memory.write(Path::new("/a/b"), b"")), ErrorKind::IsADirectory);
    assert_eq!(kind(memory.write(Path::new("/a/f/g"), b"")), ErrorKind::NotADirectory);
    assert_eq!(kind(memory.create_dir(Path::new("/a/b"))), ErrorKind::AlreadyExists);
    assert_eq!(kind(memory.create_dir(Path::new("/x/y"))), ErrorKind::NotFound);
    assert_eq!(kind(memory.list(Path::new("/a/f"))), ErrorKind::NotADirectory);
    assert_eq!(kind(memory.remove(Path::new("/a/b"), false)), ErrorKind::IsADirectory);
    assert_eq!(kind(memory.remove(Path::new("/a/none"), true)), ErrorKind::NotFound);
    assert_eq!(kind(memory.rename(Path::new("/a"), Path::new("/a/b/c"))), ErrorKind::InvalidInput);
    assert_eq!(kind(memory.rename(Path::new("/a/f"), Path::new("/a/b"))), ErrorKind::IsADirectory);
}

#[test]
fn folders_move_with_all_in_them() {
    let mut memory = MemoryFs::new();
    memory.create_dir_all(Path::new("/run/.partial/deep")).unwrap();
    memory.write(Path::new("/run/.partial/deep/w"), b"weights").unwrap();
    // A name that begins the same is another folder.
    memory.create_dir_all(Path::new("/run/.partial-2")).unwrap();
    memory.create_dir_all(Path::new("/run/000005")).unwrap();
    memory.rename(Path::new("/run/.partial"), Path::new("/run/000005")).unwrap();
    assert_eq!(memory.read(Path::new("/run/000005/deep/w")).unwrap(), b"weights");
    assert!(
        memory.about(Path::new("/run/.partial")).is_err()
            && memory.about(Path::new("/run/.partial-2")).is_ok()
    );
    assert_eq!(
        kind(memory.rename(Path::new("/run/.partial-2"), Path::new("/run/000005"))),
        ErrorKind::DirectoryNotEmpty
    );
    memory.remove(Path::new("/run/000005"), true).unwrap();
    assert_eq!(memory.list(Path::new("/run")).unwrap(), [PathBuf::from("/run/.partial-2")]);
}

#[test]
fn another_file_system_becomes_equal_by_the_journal() {
    let (mut here, mut there) = (MemoryFs::new(), MemoryFs::new());
    here.create_dir_all(Path::new("/runs/a")).unwrap();
    here.write(Path::new("/runs/a/recipe.toml"), b"preset = \"nano\"").unwrap();
    there.apply(here.snapshot(Path::new("/runs")));
    here.start_journal();
    let log = Path::new("/runs/a/metrics.jsonl");
    here.write(log, b"").unwrap();
    here.append(log, b"1\n").unwrap();
    here.append(log, b"2\n").unwrap();
    for text in [&b"x"[..], b"y"] {
        here.write(Path::new("/runs/a/state.tmp"), text).unwrap();
    }
    here.rename(Path::new("/runs/a/state.tmp"), Path::new("/runs/a/state")).unwrap();
    here.create_dir_all(Path::new("/runs/a/old/older")).unwrap();
    here.remove(Path::new("/runs/a/old"), true).unwrap();
    let changes = here.drain_journal();
    let whole = changes
        .iter()
        .filter(|change| matches!(change, FileChange::Write { path, .. } if path.ends_with("state.tmp")));
    assert_eq!(whole.count(), 1, "of two contents the last one is told");
    there.apply(changes);
    assert!(here.drain_journal().is_empty());
    let strip = |memory: &MemoryFs| memory.snapshot(Path::new("/"));
    assert_eq!(strip(&here), strip(&there));
}

#[test]
fn what_is_kept_outside_is_asked_for() {
    let mut memory = MemoryFs::new();
    let path = PathBuf::from("/given/1/a.jpg");
    memory.apply(vec![FileChange::Outside { path: path.clone(), size: 3 }]);
    assert_eq!(memory.about(&path).unwrap().len, 3);
    assert_eq!(kind(memory.read(&path)), ErrorKind::Unsupported);
    memory.read_outside_with(Box::new(|path| Ok(path.display().to_string().into_bytes())));
    assert_eq!(memory.read(&path).unwrap(), b"/given/1/a.jpg");
    assert_eq!(memory.snapshot(Path::new("/given/1")).len(), 2);
}
