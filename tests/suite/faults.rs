//! Every way a call to the service can fail, for uploads and for polls: the exit code, where the job
//! stands then, and that the run after the fault ends well, with not one upload too many.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::storm::{Reply, Server};
use crate::support::{Home, fixture};

const INGEST: [&str; 4] = ["ingest", "docs", "--poll-interval", "10ms"];

fn running() -> Reply {
    Reply::fixture("v1_uploaded.json")
}

fn done() -> Reply {
    Reply::fixture("v1_completed.json")
}

/// What the service does, what becomes of it, and what the user types when the fault is lifted.
struct Case {
    name: String,
    reply: Reply,
    exit: i32,
    state: &'static str,
    retry: &'static str,
    /// Uploads of the one document in both runs.
    uploads: usize,
}

fn case(name: &str, reply: Reply, exit: i32, state: &'static str, retry: &'static str) -> Case {
    let sent_again = usize::from(retry != "none" || matches!(state, "queued"));
    Case {
        name: name.to_owned(),
        reply,
        exit,
        state,
        retry,
        uploads: 1 + sent_again,
    }
}

fn broken_bodies() -> [(&'static str, Reply); 4] {
    [
        ("HTML", Reply::fixture("gateway.html")),
        ("truncated JSON", Reply::json(r#"{"result_type":"SUCC"#)),
        ("an empty body", Reply::json("")),
        ("JSON of another kind", Reply::json(r#"["ok"]"#)),
    ]
}

/// With two tries of each call, as `fixtures/stores/hasty.toml` says.
const TRIES: usize = 2;

fn upload_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [400, 404, 405, 409, 413, 415, 422] {
        let name = status.to_string();
        cases.push(case(
            &name,
            Reply::status(status, "no"),
            3,
            "failed",
            "failed",
        ));
    }
    for status in [401, 402, 403] {
        let name = status.to_string();
        cases.push(case(
            &name,
            Reply::status(status, "no"),
            4,
            "queued",
            "none",
        ));
    }
    for status in [408, 425, 429, 500, 503] {
        let mut case = case(
            &status.to_string(),
            Reply::status(status, "no"),
            4,
            "queued",
            "none",
        );
        case.uploads = TRIES + 1;
        cases.push(case);
    }
    for status in [501, 502, 504, 520, 524] {
        let name = status.to_string();
        cases.push(case(
            &name,
            Reply::status(status, "<html>"),
            3,
            "lost",
            "lost",
        ));
    }
    cases.push(case("cut", Reply::cut(), 3, "lost", "lost"));
    for (name, reply) in broken_bodies() {
        cases.push(case(name, reply, 3, "lost", "lost"));
    }
    cases
}

fn poll_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [400, 404, 405, 409, 410, 422] {
        let name = status.to_string();
        cases.push(case(
            &name,
            Reply::status(status, "no"),
            3,
            "submitted",
            "none",
        ));
    }
    for status in [401, 402, 403, 408, 425, 429, 500, 501, 502, 503, 504] {
        let name = status.to_string();
        cases.push(case(
            &name,
            Reply::status(status, "no"),
            4,
            "submitted",
            "none",
        ));
    }
    cases.push(case("cut", Reply::cut(), 4, "submitted", "none"));
    for (name, reply) in broken_bodies() {
        cases.push(case(name, reply, 3, "submitted", "none"));
    }
    let unknown = Reply::fixture("v1_not_found.json");
    cases.push(case("job not found", unknown, 3, "expired", "failed"));
    let failed = r#"{"result_type":"SUCCESS","success":{"job_id":"j","state":"FAILED"}}"#;
    cases.push(case(
        "job failed",
        Reply::json(failed),
        3,
        "failed",
        "failed",
    ));
    cases
}

fn play(case: &Case, is_poll: bool) {
    let server = match is_poll {
        false => Server::new(vec![], vec![]).then_always_to_uploads(case.reply.clone()),
        true => Server::new(vec![running()], vec![]).then_always(case.reply.clone()),
    };
    let hasty = fixture("stores/hasty.toml");
    let home = Home::with_storm(&server).env("SQUALL_CONFIG", hasty.to_str().unwrap());
    home.write("a.pdf", "the one document");
    let what = format!(
        "{} ({})",
        case.name,
        if is_poll { "poll" } else { "upload" }
    );
    let ran = home.run(&INGEST);
    assert_eq!(ran.code, case.exit, "{what}: {}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{what}");
    let status = home.json(&["status"], 0);
    assert_eq!(
        status[0]["jobs"][0]["state"], case.state,
        "{what}: {status:?}"
    );
    // The fault is lifted; without the flag nothing that may have been billed is sent again.
    let sends = !is_poll || case.retry != "none";
    if case.retry != "none" {
        let before = server.uploads();
        server.script(vec![], vec![]);
        let polled_once_more = is_poll.then(|| case.reply.clone());
        server.script(vec![], polled_once_more.into_iter().collect());
        home.run(&INGEST).expect(3);
        assert_eq!(server.uploads(), before, "{what}: sent again unasked");
    }
    let uploads = if sends { vec![running()] } else { vec![] };
    server.script(uploads, vec![done()]);
    let again = home.run(&[&INGEST[..], &["--retry", case.retry]].concat());
    assert_eq!(
        again.code, 0,
        "{what}, lifted: {}{}",
        again.stdout, again.stderr
    );
    assert_eq!(server.uploads(), case.uploads, "{what}");
}

/// Runs the cases on a few threads; each has a home and a server of its own.
fn play_all(cases: &[Case], is_poll: bool) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    play(case, is_poll);
                }
            });
        }
    });
}

#[test]
fn every_fault_of_an_upload_ends_as_documented_and_heals() {
    play_all(&upload_cases(), false);
}

#[test]
fn every_fault_of_a_poll_ends_as_documented_and_heals() {
    play_all(&poll_cases(), true);
}

#[test]
fn lost_answers_in_a_row_stop_the_uploads_but_not_the_polls() {
    let taken = r#"{"result_type":"SUCCESS","success":{"job_id":"j-1","state":"REQUESTED"}}"#;
    let slow = r#"{"result_type":"SUCCESS","success":{"job_id":"j-1","state":"PROCESSING"}}"#;
    let mut polls = vec![Reply::json(slow).after(std::time::Duration::from_millis(100)); 10];
    polls.push(done());
    let server = Server::new(vec![Reply::json(taken)], polls)
        .then_always_to_uploads(Reply::status(504, "<html>"));
    let home = Home::with_storm(&server);
    for number in 0..30 {
        home.write(&format!("{number:02}.pdf"), format!("document {number}"));
    }
    let ran = home
        .run(&[&INGEST[..], &["-j", "2", "--json"]].concat())
        .expect(4);
    assert!(ran.stderr.contains("3 uploads in a row"), "{}", ran.stderr);
    let summary = ran.json().pop().unwrap();
    assert_eq!(
        summary["indexed"], 1,
        "what was paid for is collected: {summary}"
    );
    // At most two are lost before the one that is taken, three after it, and one is on its way by then.
    assert!(server.uploads() <= 7, "{} uploads", server.uploads());
    let failed = summary["failed"].as_array().unwrap().len() as u64;
    assert_eq!(
        summary["parked"].as_u64().unwrap() + failed,
        29,
        "{summary}"
    );
}

#[test]
fn a_whole_folder_of_refusals_is_not_sent_to_its_end() {
    let server = Server::new(vec![], vec![]).then_always_to_uploads(Reply::status(422, "no"));
    let home = Home::with_storm(&server);
    for number in 0..40 {
        home.write(&format!("{number:02}.pdf"), format!("document {number}"));
    }
    let ran = home.run(&[&INGEST[..], &["-j", "1"]].concat()).expect(4);
    assert!(
        ran.stderr.contains("refused 10 documents in a row"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.uploads(), 10);
}
