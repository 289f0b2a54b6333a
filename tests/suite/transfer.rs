//! Stores of earlier versions, and collections that move as one file.

use rusqlite::Connection;

use crate::ingest::demo;
use crate::mend::spoil;
use crate::support::{Home, fixture};

#[test]
fn a_store_of_the_first_schema_is_brought_up_to_date() {
    let home = Home::new();
    std::fs::create_dir_all(home.data_dir()).unwrap();
    std::fs::copy(
        fixture("stores/schema-1.db"),
        home.data_dir().join("squall.db"),
    )
    .unwrap();
    let status = home.json(&["status", "-d"], 0);
    assert_eq!(status[0]["documents"].as_array().unwrap().len(), 2);
    assert_eq!(status[0]["jobs"][0]["state"], "failed");
    let answer = home.json(&["query", "who approved the dredging plan?"], 0);
    let quote = answer[0]["generated_answer"].as_str().unwrap();
    assert!(quote.contains("Ines Halvorsen"), "{quote}");
    home.run(&["verify"]).expect(0);
    // Ids used before are not used again, and what is added is found beside the old.
    home.write("new.txt", "The new crane lifts forty tonnes.");
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["query", "what does the new crane lift?"])
        .expect(0);
    home.run(&["verify"]).expect(0);
    let db = Connection::open(home.data_dir().join("squall.db")).unwrap();
    let newest: i64 = db
        .query_row("SELECT max(id) FROM chunks", [], |row| row.get(0))
        .unwrap();
    assert_eq!(newest, 3);
}

#[test]
fn a_store_of_the_future_is_refused() {
    let home = demo();
    let db = Connection::open(home.data_dir().join("squall.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let ran = home.run(&["status"]).expect(5);
    assert!(ran.stderr.contains("newer squall"), "{}", ran.stderr);
}

#[test]
fn an_exported_collection_comes_back_whole() {
    let home = demo();
    home.copy("hostile/truncated.pdf");
    home.run(&["ingest", "docs"]).expect(3);
    home.run(&["export", "all.squall"]).expect(0);
    let ran = home.run(&["export", "all.squall"]).expect(2);
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    home.run(&["export", "all.squall", "--force"]).expect(0);
    let other = Home::new();
    let file = home.path().join("all.squall");
    let file = file.to_str().unwrap();
    let imported = other.json(&["import", file], 0);
    assert_eq!(
        (&imported[0]["documents"], &imported[0]["jobs"]),
        (&5.into(), &1.into())
    );
    other.run(&["verify"]).expect(0);
    let listing = |home: &Home, name: &str| {
        let mut rows = home.json(&["status", "-d", "-c", name], 0)[0]["documents"].clone();
        for row in rows.as_array_mut().unwrap() {
            row["collection"] = "any".into();
        }
        rows
    };
    assert_eq!(listing(&home, "default"), listing(&other, "default"));
    let asked = |home: &Home, name: &str| {
        home.json(&["query", "who approved the budget?", "-c", name], 0)[0]["citations"].clone()
    };
    assert_eq!(asked(&home, "default"), asked(&other, "default"));
    let taken = other.run(&["import", file]).expect(2);
    assert!(
        taken.stderr.contains("choose another name"),
        "{}",
        taken.stderr
    );
    other.run(&["import", file, "-c", "둘째"]).expect(0);
    assert_eq!(asked(&home, "default"), asked(&other, "둘째"));
    assert_eq!(listing(&home, "default"), listing(&other, "둘째"));
    other.run(&["verify"]).expect(0);
    // Exported again from there, it holds the same.
    other
        .run(&["export", "again.squall", "-c", "둘째"])
        .expect(0);
    let third = Home::new();
    let again = other.path().join("again.squall");
    third
        .run(&["import", again.to_str().unwrap(), "-c", "default"])
        .expect(0);
    assert_eq!(listing(&home, "default"), listing(&third, "default"));
}

#[test]
fn what_is_no_export_is_refused() {
    let home = demo();
    home.write("text.squall", "not a database");
    for file in [
        "docs/text.squall",
        "data/squall.db",
        "docs",
        "nowhere.squall",
    ] {
        let ran = home.run(&["import", file]).expect(2);
        assert!(ran.stderr.contains(file), "{}", ran.stderr);
    }
    home.run(&["export", "all.squall"]).expect(0);
    let path = home.path().join("all.squall");
    spoil(&path, "Halvorsen");
    let ran = home.run(&["import", "all.squall", "-c", "x"]).expect(2);
    assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
    home.run(&["verify"]).expect(0);
}
