use std::collections::HashSet;

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::store::mapped::Reach;
use crate::store::parts::Files;

/// Writes a file of `rows`, from a database that also has another collection's vector and one beyond
/// `reach`.
pub fn write(path: &Path, collection: &Collection, reach: Reach, rows: &[(i64, Vec<f32>)]) {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY, collection_id INTEGER);
         CREATE TABLE vectors (chunk_id INTEGER PRIMARY KEY, vector BLOB);",
    )
    .unwrap();
    let add = |id: i64, collection: i64, vector: &[f32]| {
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        db.prepare_cached("INSERT INTO chunks VALUES (?1, ?2)")
            .unwrap()
            .execute(params![id, collection])
            .unwrap();
        db.prepare_cached("INSERT INTO vectors VALUES (?1, ?2)")
            .unwrap()
            .execute(params![id, bytes])
            .unwrap();
    };
    for (id, vector) in rows {
        add(*id, collection.id, vector);
    }
    add(reach.to + 1, collection.id, &[]);
    add(reach.to + 2, collection.id + 1, &[]);
    add(-1, collection.id + 1, &[]);
    VectorFile::write(&Job {
        path,
        db: &db,
        collection,
        reach,
        parts: &[],
        dead: &HashSet::new(),
    })
    .unwrap();
}

fn collection() -> Collection {
    Collection::sample(3)
}

fn rows() -> [(i64, [f32; 3]); 3] {
    [
        (2, [1.0, 0.0, 0.0]),
        (5, [0.0, 1.0, 0.0]),
        (9, [0.6, 0.8, 0.0]),
    ]
}

const REACH: Reach = Reach { after: 0, to: 9 };

fn written(folder: &Path) -> std::path::PathBuf {
    let rows = rows().map(|(id, vector)| (id, vector.to_vec()));
    let path = folder.join("x");
    write(&path, &collection(), REACH, &rows);
    path
}

#[test]
fn what_is_written_is_read_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = VectorFile::open(&written(dir.path()), &collection())
        .unwrap()
        .unwrap();
    file.verify().unwrap();
    assert_eq!((file.len(), file.front().generation), (3, 7));
    assert_eq!(file.front().reach, REACH);
    for (id, vector) in rows() {
        assert_eq!(file.vector(id).unwrap(), vector);
    }
    assert!(file.vector(3).is_none());
    let mut best = Best::new(2);
    file.scan(&[0.0, 1.0, 0.0], 0, &|chunk| chunk != 5, &mut best);
    let found: Vec<i64> = best.into_sorted().iter().map(|s| s.chunk).collect();
    assert_eq!(found, [9, 2]);
}

#[test]
fn any_flipped_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, bad).unwrap();
        let opened = VectorFile::open(&path, &collection());
        assert!(
            opened.and_then(|file| file.unwrap().verify()).is_err(),
            "byte {at}"
        );
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(VectorFile::open(&path, &collection()).is_err());
}

#[test]
fn a_file_of_another_model_or_of_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = collection();
    other.model.fingerprint = "g".into();
    assert!(VectorFile::open(&written(dir.path()), &other).is_err());
    let nowhere = VectorFile::open(Path::new("/nowhere"), &collection());
    assert!(nowhere.unwrap().is_none());
    let files: Files<VectorFile> = Files::new(dir.path());
    std::fs::create_dir(dir.path().join(VectorFile::FOLDER)).unwrap();
    std::fs::rename(written(dir.path()), files.path("u", REACH)).unwrap();
    let chain = |generation: i64| files.chain(&collection(), &|| Ok(generation));
    assert!(chain(6).is_empty());
    assert_eq!(chain(7).len(), 3);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        at in 0usize..400, with in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..400,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let mut bytes = std::fs::read(&path).unwrap();
        for (index, byte) in with.iter().enumerate() {
            if let Some(place) = bytes.get_mut(at + index) {
                *place = *byte;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(300)));
        std::fs::write(&path, bytes).unwrap();
        if let Ok(Some(file)) = VectorFile::open(&path, &collection()) {
            let mut best = Best::new(3);
            file.scan(&[0.6, 0.8, 0.0], 0, &|_| true, &mut best);
            prop_assert!(file.vector(-1).is_none());
            prop_assert!(best.into_sorted().len() <= 3);
        }
    }
}
