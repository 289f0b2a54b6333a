//! Several writers and readers on one data directory: readers are never blocked and never see half
//! a document, writers take turns, and nothing any of them wrote is missing at the end.

use std::time::{Duration, Instant};

use crate::support::Home;

/// Pages of each document, each with a word of its own.
const PAGES: usize = 4;

fn document(writer: usize, number: usize, version: usize) -> String {
    let page = |page: usize| {
        format!("Lighthouse w{writer}n{number} version v{version} page {page} keeps its lamp lit.")
    };
    (1..=PAGES).map(page).collect::<Vec<_>>().join("\u{C}")
}

/// Adds a document, changes an older one, and takes the folder in, until the time is up.
fn write(home: &Home, writer: usize, until: Instant) -> usize {
    let folder = format!("docs/{writer}");
    let mut number = 0;
    while Instant::now() < until || number == 0 {
        home.write(
            &format!("{writer}/{number}.txt"),
            document(writer, number, 0),
        );
        if number > 0 {
            let older = number / 2;
            home.write(
                &format!("{writer}/{older}.txt"),
                document(writer, older, number),
            );
        }
        number += 1;
        home.run(&["ingest", &folder, "--lock-timeout", "5m"])
            .expect(0);
    }
    number
}

/// Asks and lists until the time is up; how often.
fn read(home: &Home, until: Instant) -> usize {
    let mut looks = 0;
    while Instant::now() < until {
        let start = Instant::now();
        let ran = home.run(&["query", "Lighthouse w1n0", "--json"]);
        assert!(matches!(ran.code, 0 | 1), "{}: {}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("busy"), "{}", ran.stderr);
        let status = home.json(&["status", "-d"], 0);
        for row in status[0]["documents"].as_array().unwrap() {
            let seen = (row["pages"].as_u64(), row["chunks"].as_u64());
            assert_eq!(
                seen,
                (Some(PAGES as u64), Some(PAGES as u64)),
                "half a document: {row}"
            );
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "a reader was blocked"
        );
        looks += 1;
    }
    looks
}

fn crowd(writers: usize, readers: usize, time: Duration) {
    let home = Home::new();
    home.write("1/0.txt", document(1, 0, 0));
    home.run(&["ingest", "docs/1"]).expect(0);
    let until = Instant::now() + time;
    let (written, looks) = std::thread::scope(|scope| {
        let writing: Vec<_> = (0..writers)
            .map(|writer| {
                scope.spawn({
                    let home = &home;
                    move || write(home, writer, until)
                })
            })
            .collect();
        let reading: Vec<_> = (0..readers)
            .map(|_| scope.spawn(|| read(&home, until)))
            .collect();
        let written: Vec<usize> = writing.into_iter().map(|w| w.join().unwrap()).collect();
        let looks: usize = reading.into_iter().map(|r| r.join().unwrap()).sum();
        (written, looks)
    });
    home.run(&["verify"]).expect(0);
    let status = home.json(&["status", "-d"], 0);
    let stored = status[0]["documents"].as_array().unwrap().len();
    assert_eq!(stored, written.iter().sum::<usize>(), "no update is lost");
    let again = home
        .json(&["ingest", "docs", "--checksum"], 0)
        .pop()
        .unwrap();
    assert_eq!(
        again["indexed"], 0,
        "every file is in as it is on disk: {again}"
    );
    println!("{written:?} documents by {writers} writers, {looks} looks by {readers} readers");
}

#[test]
fn writers_take_turns_and_readers_see_whole_documents() {
    crowd(2, 3, Duration::from_secs(4));
}

#[test]
#[ignore = "takes minutes"]
fn three_writers_and_ten_readers_for_a_minute() {
    crowd(3, 10, Duration::from_secs(60));
}
