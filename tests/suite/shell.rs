//! Life in a shell: pipes, signals, completions, the second writer.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use crate::ingest::demo;
use crate::support::{Home, Ran, wait_for};

#[test]
fn a_closed_pipe_is_success() {
    let home = demo();
    let questions = "Who approved the budget?\n".repeat(200);
    let mut child = home.spawn(home.command(&["query", "-"]).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        // Fails once the program has left, as it should.
        let _ = stdin.write_all(questions.as_bytes());
    });
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let status = wait_for("the end of the program", || child.try_wait().unwrap());
    writer.join().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn nobody_listening_on_stderr_is_no_reason_to_stop() {
    let home = Home::new();
    for i in 0..30 {
        home.write(&format!("{i}.txt"), format!("document number {i}"));
    }
    let mut child = home.spawn(&mut home.command(&["ingest", "docs"]));
    drop(child.stderr.take());
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert!(ran.stdout.starts_with("30 documents"), "{}", ran.stdout);
}

#[test]
fn version_help_completions_and_manual() {
    let home = Home::new();
    let version = home.run(&["--version"]).expect(0).stdout;
    assert!(
        version.contains("all-MiniLM-L6-v2") && version.contains("multilingual-e5-small"),
        "{version}"
    );
    let help = home.run(&["--help"]).expect(0).stdout;
    assert!(help.contains("ingest") && help.contains("Exit codes"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            home.run(&["completions", shell])
                .expect(0)
                .stdout
                .contains("squall")
        );
    }
    let manual = home.run(&["man"]).expect(0).stdout;
    assert!(manual.contains(".TH squall") && manual.contains("files\\-from"));
}

#[test]
fn doctor_tells_what_is_there() {
    let home = demo();
    let checks = &home.json(&["doctor"], 0)[0];
    assert_eq!(checks["healthy"], true);
    let text = checks.to_string();
    assert!(
        text.contains("5 documents") && text.contains("not set"),
        "{text}"
    );
}

#[test]
fn a_second_writer_gives_up_with_a_message_and_readers_go_on() {
    let home = demo();
    let lock = std::fs::File::options()
        .append(true)
        .open(home.data_dir().join("writer.lock"))
        .unwrap();
    lock.lock().unwrap();
    home.write("late.txt", "late text");
    let ran = home
        .run(&["ingest", "docs", "--lock-timeout", "300ms"])
        .expect(5);
    assert!(ran.stderr.contains("waiting for it"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--lock-timeout"), "{}", ran.stderr);
    home.run(&["query", "Who approved the budget?"]).expect(0);
    lock.unlock().unwrap();
    home.run(&["ingest", "docs"]).expect(0);
}

#[test]
fn an_interrupted_ingest_says_so_and_the_next_one_finishes() {
    let home = Home::new();
    let sentence = "The harbour master keeps a list of every boat that enters the inner basin. ";
    for i in 0..40 {
        home.write(&format!("{i}.txt"), format!("{i} {}", sentence.repeat(60)));
    }
    let child = home.spawn(&mut home.command(&["ingest", "docs"]));
    wait_for("the first document", || {
        let db = rusqlite::Connection::open(home.data_dir().join("squall.db")).ok()?;
        let count: i64 = db
            .query_row("SELECT count(*) FROM documents", [], |r| r.get(0))
            .ok()?;
        (count > 0).then_some(())
    });
    signal(child.id(), "INT");
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(130);
    assert!(
        ran.stderr.contains("run the same command again"),
        "{}",
        ran.stderr
    );
    let before = home.json(&["status"], 0)[0]["collections"][0]["documents"]
        .as_u64()
        .unwrap();
    assert!((1..40).contains(&before), "{before}");
    home.run(&["ingest", "docs"]).expect(0);
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"][0]["documents"], 40);
}

/// Sends a signal as a user would.
pub fn signal(process: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    std::thread::sleep(Duration::from_millis(10));
}
