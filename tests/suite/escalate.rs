//! What leaves the machine: budgets, dry runs, and `--parser auto --escalate`.

use std::time::Duration;

use crate::support::storm::{Reply, Server};
use crate::support::{Home, Ran, wait_for};

const INGEST: [&str; 4] = ["ingest", "docs", "--poll-interval", "10ms"];
const AUTO: [&str; 7] = [
    "ingest",
    "docs",
    "--poll-interval",
    "10ms",
    "--parser",
    "auto",
    "--escalate",
];

fn uploaded() -> Reply {
    Reply::fixture("v1_uploaded.json")
}

fn done(text: &str) -> Reply {
    let text = serde_json::to_string(text).unwrap();
    Reply::json(format!(
        r#"{{"result_type":"SUCCESS","success":{{"job_id":"j","state":"COMPLETED",
        "pages":[{{"pageNumber":1,"content":{text}}}]}}}}"#
    ))
}

/// A good, a scanned and a foreign document.
fn mixed(server: &Server) -> Home {
    let home = Home::with_storm(server);
    home.copy("documents/harbour-committee-minutes.pdf");
    home.copy("hostile/scanned.pdf");
    home.write("계획.hwp", b"HWP Document File V3.00 \x1A\x01\x02");
    home
}

#[test]
fn without_escalate_nothing_leaves_and_the_summary_says_what_might() {
    let server = Server::new(vec![], vec![]);
    let home = mixed(&server);
    home.write("leer.txt", " \n ");
    let ran = home.run(&["ingest", "docs", "--parser", "auto"]).expect(3);
    assert!(
        ran.stdout.contains("nothing left this machine"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("1 document might read better"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("without any text to find: docs/leer.txt"),
        "{}",
        ran.stdout
    );
    let status = home.run(&["status", "-d"]).expect(0);
    assert!(
        status.stdout.contains("1 document without any text"),
        "{}",
        status.stdout
    );
    assert!(
        status.stdout.contains("no text to find"),
        "{}",
        status.stdout
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn only_what_reads_badly_here_goes_to_the_service() {
    let polls = vec![
        done("The harbour master signed the receipt for the rope."),
        done("증축 계획서"),
    ];
    let server = Server::new(vec![uploaded(), uploaded()], polls);
    let home = mixed(&server);
    // First without: the scanned document is in, with one page of two, and one of the nineties is not.
    home.run(&["ingest", "docs", "--parser", "auto"]).expect(3);
    let rehearsed = home
        .json(&[&AUTO[..], &["--dry-run"]].concat(), 0)
        .pop()
        .unwrap();
    assert_eq!(rehearsed["uploaded"], 2, "{rehearsed}");
    assert_eq!(
        (&rehearsed["uploaded_pages"], &rehearsed["uncounted"]),
        (&2.into(), &1.into())
    );
    assert_eq!(server.requests().len(), 0);
    let summary = home
        .json(&[&AUTO[..], &["-j", "1"]].concat(), 0)
        .pop()
        .unwrap();
    assert_eq!(
        (&summary["escalated"], &summary["indexed"]),
        (&2.into(), &2.into()),
        "{summary}"
    );
    assert_eq!(
        (&summary["skipped"], &summary["replaced"]),
        (&1.into(), &1.into()),
        "{summary}"
    );
    home.run(&["query", "who signed the receipt for the rope?"])
        .expect(0);
    // And once is enough.
    let before = server.requests().len();
    let again = home.json(&AUTO, 0).pop().unwrap();
    assert_eq!(again["skipped"], 3, "{again}");
    assert_eq!(server.requests().len(), before);
}

#[test]
fn where_the_service_fails_what_was_read_here_stays() {
    let server = Server::new(vec![Reply::status(415, "no")], vec![]);
    let home = Home::with_storm(&server);
    home.copy("hostile/no-tounicode.pdf");
    home.copy("hostile/scanned.pdf");
    std::fs::remove_file(home.path().join("docs/no-tounicode.pdf")).unwrap();
    let summary = home.json(&AUTO, 3).pop().unwrap();
    assert_eq!(summary["indexed"], 1, "{summary}");
    let reason = summary["not_escalated"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("415"), "{reason}");
}

#[test]
fn detached_pages_replace_those_read_here() {
    let server = Server::new(
        vec![uploaded()],
        vec![done("The harbour master signed the receipt for the rope.")],
    );
    let home = Home::with_storm(&server);
    home.copy("hostile/scanned.pdf");
    let summary = home
        .json(&[&AUTO[..], &["--detach"]].concat(), 0)
        .pop()
        .unwrap();
    assert_eq!(
        (&summary["pending"], &summary["indexed"]),
        (&1.into(), &1.into()),
        "{summary}"
    );
    home.run(&["status", "--wait", "--poll-interval", "10ms"])
        .expect(0);
    home.run(&["query", "who signed the receipt for the rope?"])
        .expect(0);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let home = Home::new();
    home.write("a.txt", "text");
    let ran = home.run(&["ingest", "docs", "--escalate"]).expect(2);
    assert!(ran.stderr.contains("--parser auto"), "{}", ran.stderr);
    let ran = home.run(&AUTO).expect(2);
    assert!(ran.stderr.contains("needs a token"), "{}", ran.stderr);
    let ran = home
        .run(&["ingest", "docs", "--max-bytes", "lots"])
        .expect(2);
    assert!(ran.stderr.contains("max_bytes: 'lots'"), "{}", ran.stderr);
    let ran = home
        .run(&["ingest", "docs", "--parser-memory", "1MB"])
        .expect(2);
    assert!(ran.stderr.contains("at least 100MB"), "{}", ran.stderr);
}

#[test]
fn budgets_hold_back_what_would_pass_them() {
    let server = Server::new(vec![uploaded()], vec![done("four pages")]);
    let home = Home::with_storm(&server);
    home.copy("documents/harbour-committee-minutes.pdf");
    home.copy("documents/sensor-manual.pdf");
    home.write("unknown.hwp", b"\x00\x01 no pages to count");
    let args = [&INGEST[..], &["-j", "1", "--max-pages", "5"]].concat();
    let rehearsed = home
        .json(&[&args[..], &["--dry-run"]].concat(), 0)
        .pop()
        .unwrap();
    assert_eq!(
        (&rehearsed["uploaded"], &rehearsed["uploaded_pages"]),
        (&1.into(), &4.into())
    );
    let lines = home.json(&args, 0);
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["indexed"], &summary["parked"]),
        (&1.into(), &2.into()),
        "{summary}"
    );
    let said: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["reason"].as_str())
        .collect();
    assert!(
        said.iter()
            .any(|why| why.contains("3 pages, and only 1 of --max-pages 5")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|why| why.contains("cannot be counted")),
        "{said:?}"
    );
    let summary = home
        .json(&[&INGEST[..], &["--max-bytes", "10"]].concat(), 0)
        .pop()
        .unwrap();
    assert_eq!(summary["parked"], 2, "{summary}");
    assert_eq!(server.uploads(), 1);
}

#[test]
fn a_dry_run_counts_pages_and_leaves_out_what_was_sent_before() {
    let server = Server::new(vec![uploaded()], vec![]);
    let home = Home::with_storm(&server);
    home.copy("documents/sensor-manual.pdf");
    home.run(&[&INGEST[..], &["--detach"]].concat()).expect(0);
    home.copy("documents/harbour-committee-minutes.pdf");
    let ran = home.run(&[&INGEST[..], &["--dry-run"]].concat()).expect(0);
    assert!(
        ran.stdout.contains("would ingest 2 documents"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("1 document (4 pages, 53 kB) would be sent"),
        "{}",
        ran.stdout
    );
    assert_eq!(server.uploads(), 1);
}

/// Rewrites a document after it was hashed and before it is read: the one before it takes long.
fn rewritten_meanwhile(home: &Home, args: &[&str], is_busy: impl Fn() -> bool) -> Ran {
    let second = home.write("b.txt", "as it was hashed");
    let child = home.spawn(&mut home.command(args));
    wait_for("the first document to be under way", || {
        is_busy().then_some(())
    });
    // By then the second one is hashed and queued.
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(second, "as it is read").unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn a_file_that_changes_before_it_is_sent_is_not_sent() {
    let slow = uploaded().after(Duration::from_millis(2500));
    let server = Server::new(vec![slow], vec![done("first")]);
    let home = Home::with_storm(&server);
    home.write("a.txt", "the first document");
    let args = [&INGEST[..], &["-j", "1"]].concat();
    let ran = rewritten_meanwhile(&home, &args, || server.uploads() == 1).expect(3);
    assert!(
        ran.stdout.contains("changed while it was sent"),
        "{}",
        ran.stdout
    );
    assert_eq!(server.uploads(), 1, "the changed one was not taken");
    server.script(vec![uploaded()], vec![done("second")]);
    home.run(&args).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_changes_before_it_is_read_is_not_stored_under_the_wrong_hash() {
    let home = Home::new();
    home.copy("bombs/forms.pdf");
    std::fs::rename(
        home.path().join("docs/forms.pdf"),
        home.path().join("docs/a.pdf"),
    )
    .unwrap();
    let start = std::time::Instant::now();
    let args = ["ingest", "docs", "-j", "1", "--timeout", "6s"];
    let ran = rewritten_meanwhile(&home, &args, || start.elapsed().as_millis() > 1500).expect(3);
    assert!(
        ran.stdout.contains("changed while it was read"),
        "{}",
        ran.stdout
    );
    let summary = home.json(&args, 3).pop().unwrap();
    assert_eq!(summary["indexed"], 1, "{summary}");
}

#[test]
fn a_file_that_vanishes_is_its_own_failure() {
    let slow = uploaded().after(Duration::from_millis(2000));
    let server = Server::new(vec![slow], vec![done("first")]);
    let home = Home::with_storm(&server);
    home.write("a.txt", "the first document");
    let second = home.write("b.txt", "the second document");
    let child = home.spawn(&mut home.command(&[&INGEST[..], &["-j", "1"]].concat()));
    wait_for("the upload", || (server.uploads() == 1).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    std::fs::remove_file(second).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(3);
    assert!(
        ran.stdout.contains("cannot be read: No such file"),
        "{}",
        ran.stdout
    );
    home.run(&["query", "first"]).expect(0);
}
