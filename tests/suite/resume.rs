//! Runs that are interrupted, or leave, and the ones that go on: nothing is sent twice.

use std::time::Duration;

use crate::shell::signal;
use crate::storm::{FAST, v1_done, v1_job};
use crate::support::storm::{Reply, Server};
use crate::support::{Home, Ran, wait_for};

#[test]
fn killed_while_polling_the_next_run_resumes_without_an_upload() {
    let server = Server::new(vec![v1_job("REQUESTED")], vec![]).then_always(v1_job("PROCESSING"));
    let home = Home::with_storm(&server);
    home.write("a.pdf", "the only copy");
    let mut child = home.spawn(&mut home.command(&FAST));
    wait_for("three polls", || (server.polls() >= 3).then_some(()));
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["jobs"][0]["state"], "processing");
    assert_eq!(status[0]["jobs"][0]["remote_id"], "j-1");
    server.script(vec![], vec![v1_done("Resumed text about the lighthouse.")]);
    home.run(&FAST).expect(0);
    assert_eq!(server.uploads(), 1);
    home.run(&["query", "lighthouse"]).expect(0);
}

#[test]
fn ctrl_c_while_polling_parks_the_job() {
    let server = Server::new(vec![v1_job("REQUESTED")], vec![]).then_always(v1_job("PROCESSING"));
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let child = home.spawn(&mut home.command(&FAST));
    wait_for("a poll", || (server.polls() >= 1).then_some(()));
    signal(child.id(), "INT");
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(130);
    assert!(
        ran.stderr.contains("nothing is done twice"),
        "{}",
        ran.stderr
    );
    server.script(vec![], vec![v1_done("done")]);
    home.run(&["status", "--wait", "--poll-interval", "10ms"])
        .expect(0);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn detach_leaves_at_once_and_wait_collects_even_when_the_file_is_gone() {
    let server = Server::new(
        vec![v1_job("REQUESTED")],
        vec![v1_job("PROCESSING"), v1_done("The beacon was painted red.")],
    );
    let home = Home::with_storm(&server);
    let file = home.write("a.pdf", "x");
    let args = [
        &FAST[..],
        &["--detach", "-c", "light", "--tag", "kind=buoy"],
    ]
    .concat();
    let lines = home.json(&args, 0);
    assert_eq!(lines.last().unwrap()["pending"], 1);
    assert_eq!(server.polls(), 0);
    let pending = lines
        .iter()
        .find(|line| line["event"] == "pending")
        .unwrap();
    let job = pending["job"].as_str().unwrap();
    assert_eq!(home.json(&["status", job], 0)[0]["state"], "submitted");
    std::fs::remove_file(file).unwrap();
    home.run(&["status", "--wait", "--poll-interval", "10ms"])
        .expect(0);
    let answer = home.json(
        &[
            "query",
            "what was painted red?",
            "-c",
            "light",
            "--tag",
            "kind=buoy",
        ],
        0,
    );
    assert!(
        answer[0]["generated_answer"]
            .as_str()
            .unwrap()
            .contains("beacon")
    );
    assert_eq!(server.uploads(), 1);
}

#[test]
fn a_job_that_takes_too_long_is_waited_for_again() {
    let server = Server::new(vec![v1_job("REQUESTED")], vec![]).then_always(v1_job("PROCESSING"));
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let args = [&FAST[..], &["--timeout", "100ms"]].concat();
    let ran = home.run(&args).expect(3);
    assert!(
        ran.stdout.contains("run the same command again"),
        "{}",
        ran.stdout
    );
    server.script(vec![], vec![v1_done("late text")]);
    home.run(&FAST).expect(0);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn a_lost_upload_is_reported_and_sent_again_only_on_demand() {
    let server = Server::new(vec![Reply::cut()], vec![]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let ran = home.run(&FAST).expect(3);
    assert!(ran.stdout.contains("the answer was lost"), "{}", ran.stdout);
    let ran = home.run(&FAST).expect(3);
    assert!(ran.stdout.contains("--retry lost"), "{}", ran.stdout);
    assert_eq!(server.uploads(), 1);
    server.script(vec![v1_job("REQUESTED")], vec![v1_done("sent again")]);
    let args = [&FAST[..], &["--retry", "lost"]].concat();
    home.run(&args).expect(0);
    assert_eq!(server.uploads(), 2);
}

#[test]
fn ctrl_c_during_the_upload_waits_for_the_answer() {
    let slow = v1_job("REQUESTED").after(Duration::from_millis(1500));
    let server = Server::new(vec![slow], vec![]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let child = home.spawn(&mut home.command(&FAST));
    wait_for("the upload", || (server.uploads() == 1).then_some(()));
    signal(child.id(), "INT");
    Ran::from(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(
        home.json(&["status"], 0)[0]["jobs"][0]["state"],
        "submitted"
    );
    server.script(vec![], vec![v1_done("text")]);
    home.run(&FAST).expect(0);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn killed_during_the_upload_counts_as_lost() {
    let slow = v1_job("REQUESTED").after(Duration::from_secs(20));
    let server = Server::new(vec![slow], vec![]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let mut child = home.spawn(&mut home.command(&FAST));
    wait_for("the upload", || (server.uploads() == 1).then_some(()));
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let ran = home.run(&FAST).expect(3);
    assert!(
        ran.stdout.contains("between the upload and its answer"),
        "{}",
        ran.stdout
    );
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["jobs"][0]["state"], "lost");
    assert_eq!(server.uploads(), 1);
}

#[test]
fn copies_of_a_detached_document_are_collected_too() {
    let server = Server::new(vec![v1_job("REQUESTED")], vec![v1_done("one text")]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "same");
    home.write("b.pdf", "same");
    let ran = home.run(&[&FAST[..], &["--detach"]].concat()).expect(0);
    assert!(
        ran.stdout.contains("job ") && ran.stdout.contains("status --wait"),
        "{}",
        ran.stdout
    );
    home.run(&["status", "--wait", "--poll-interval", "10ms"])
        .expect(0);
    let status = home.json(&["status", "-d"], 0);
    assert_eq!(
        status[0]["documents"][0]["paths"].as_array().unwrap().len(),
        2
    );
}
