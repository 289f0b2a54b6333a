use super::*;

fn names(selection: &Selection) -> Vec<String> {
    let mut names = Vec::new();
    walk(selection, &["pdf", "txt"], &mut |found| {
        names.push(match found {
            Found::File(source) => {
                let name = source.path.strip_prefix(&source.root).unwrap();
                name.trim_start_matches('/').to_owned()
            }
            Found::Unsupported { path } => format!("? {}", path.rsplit('/').next().unwrap()),
            Found::Unusable { reason, .. } => format!("! {reason}"),
        });
        true
    })
    .unwrap();
    names
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in [
        "b.pdf",
        "a/x.txt",
        "a/y.PDF",
        ".hidden.txt",
        ".git/c.txt",
        "z.bin",
    ] {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
    dir
}

#[test]
fn folders_are_walked_in_order_without_hidden_files_or_loops() {
    let dir = tree();
    let selection = Selection {
        paths: vec![dir.path().into(), dir.path().join("b.pdf")],
        ..Selection::default()
    };
    assert_eq!(
        names(&selection),
        ["a/x.txt", "a/y.PDF", "b.pdf", "? z.bin"]
    );
}

#[test]
fn linked_files_are_taken_and_linked_folders_only_on_demand() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tree());
    std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("b.pdf"), dir.path().join("b.pdf")).unwrap();
    let mut selection = Selection {
        paths: vec![dir.path().into()],
        ..Selection::default()
    };
    assert_eq!(names(&selection), ["b.pdf"]);
    selection.follow = true;
    assert_eq!(
        names(&selection),
        [
            "b.pdf",
            "out/a/x.txt",
            "out/a/y.PDF",
            "out/b.pdf",
            "? z.bin"
        ]
    );
}

#[test]
fn globs_include_and_exclude() {
    let dir = tree();
    let select = |include: &[&str], exclude: &[&str]| {
        let owned = |globs: &[&str]| globs.iter().map(|g| (*g).to_owned()).collect();
        names(&Selection {
            paths: vec![dir.path().into()],
            include: owned(include),
            exclude: owned(exclude),
            ..Selection::default()
        })
    };
    assert_eq!(select(&["*.txt"], &[]), ["a/x.txt"]);
    assert_eq!(select(&[], &["a/**", "*.bin"]), ["b.pdf"]);
    let bad = Selection {
        paths: vec![dir.path().into()],
        include: vec!["[".into()],
        ..Selection::default()
    };
    assert!(walk(&bad, &[], &mut |_| true).is_err());
}

#[test]
fn what_is_missing_or_badly_named_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join(OsString::from_vec(b"bad\xFF.txt".to_vec()));
    std::fs::write(&bad, "x").unwrap();
    let selection = Selection {
        paths: vec![dir.path().into(), dir.path().join("nope.pdf")],
        ..Selection::default()
    };
    assert_eq!(
        names(&selection),
        [
            "! the file name is not valid UTF-8",
            "! no such file or folder"
        ]
    );
}

#[test]
fn a_list_may_end_lines_with_newline_or_nul() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, "a b.pdf\r\n\n가.txt\n").unwrap();
    assert_eq!(
        read_list(&list, false).unwrap(),
        [PathBuf::from("a b.pdf"), PathBuf::from("가.txt")]
    );
    std::fs::write(&list, "a\nb\0c\0").unwrap();
    assert_eq!(
        read_list(&list, true).unwrap(),
        [PathBuf::from("a\nb"), PathBuf::from("c")]
    );
}
