//! Killed with -9 at random moments, round after round, over a growing collection: a document is
//! wholly in or wholly out, the ledger is right, and nothing is sent twice.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::corruption::Dice;
use crate::shell::signal;
use crate::support::Home;
use crate::support::storm::Server;

const INGEST: [&str; 4] = ["ingest", "docs", "--poll-interval", "10ms"];

fn text(number: usize) -> String {
    format!("Report {number}. The lantern of berth {number} was lit at dusk by warden {number}.")
}

/// Paths whose upload was begun and never answered.
fn lost(home: &Home) -> BTreeSet<String> {
    let status = home.json(&["status"], 0);
    let jobs = status[0]["jobs"].as_array().unwrap();
    let lost = jobs
        .iter()
        .filter(|job| matches!(job["state"].as_str().unwrap(), "lost" | "uploading"));
    lost.map(|job| job["paths"][0].as_str().unwrap().to_owned())
        .collect()
}

fn rounds(count: usize, seed: u64) {
    let server = Server::automatic();
    let home = Home::with_storm(&server);
    let mut dice = Dice(seed);
    // The first run makes the store, so that there is something to look at from then on.
    home.write("0.pdf", text(0));
    home.run(&INGEST).expect(0);
    let mut number = 1;
    let mut killed = 0;
    let mut ever_lost = BTreeSet::new();
    for round in 0..count {
        for _ in 0..=dice.below(2) {
            home.write(&format!("{number}.pdf"), text(number));
            number += 1;
        }
        let parser = ["storm", "local"][usize::from(round % 5 == 4)];
        let collection = ["default", "mine"][usize::from(round % 5 == 4)];
        let more = ["--parser", parser, "-c", collection];
        let mut child = home.spawn(&mut home.command(&[&INGEST[..], &more].concat()));
        std::thread::sleep(Duration::from_millis(dice.below(700) as u64));
        if child.try_wait().unwrap().is_none() {
            signal(child.id(), "KILL");
            killed += 1;
        }
        child.wait().unwrap();
        // The next command works without any repair, and all that is in is whole.
        home.run(&["verify"]).expect(0);
        ever_lost.extend(lost(&home));
        for (file, times) in server.taken() {
            let what = String::from_utf8_lossy(&file).into_owned();
            assert_eq!(
                times, 1,
                "round {round}, seed {seed}: sent more than once: {what}"
            );
        }
    }
    // What a crash left open is finished by the next runs; what was lost only on demand.
    home.run(&INGEST);
    ever_lost.extend(lost(&home));
    home.run(&[&INGEST[..], &["--retry", "lost"]].concat())
        .expect(0);
    home.run(&["verify"]).expect(0);
    let listed = home.json(&["status", "-d", "-c", "default"], 0);
    let documents = listed[0]["documents"].as_array().unwrap();
    assert_eq!(documents.len(), number, "every document is in exactly once");
    let taken = server.taken();
    assert_eq!(taken.len(), number);
    let mut sent_again = 0;
    for number in 0..number {
        let times = taken[text(number).as_bytes()];
        let was_lost = ever_lost
            .iter()
            .any(|path| path.ends_with(&format!("/{number}.pdf")));
        assert!(
            times == 1 || (times == 2 && was_lost),
            "{number} was sent {times} times"
        );
        sent_again += times - 1;
    }
    println!(
        "{count} rounds, {killed} killed: {number} documents, {} uploads, {} reported lost, \
         {sent_again} of them sent again on demand",
        taken.values().sum::<usize>(),
        ever_lost.len()
    );
}

#[test]
fn killed_at_random_moments_nothing_is_lost_or_sent_twice() {
    rounds(12, 5);
}

#[test]
#[ignore = "takes minutes"]
fn killed_two_hundred_times_nothing_is_lost_or_sent_twice() {
    rounds(200, 9);
}
