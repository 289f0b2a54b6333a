//! Files that do harm to their reader: each is its own failure, and nothing else.

use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use crate::shell::signal;
use crate::support::{Home, wait_for};

/// Takes in a bomb with a good document beside it and returns what is said of the bomb.
fn verdict(bomb: &str, limits: &[&str]) -> String {
    let home = Home::new();
    home.copy(&format!("bombs/{bomb}"));
    home.copy("documents/onboarding.md");
    let args = [&["ingest", "docs"], limits].concat();
    let summary = home.json(&args, 3).pop().unwrap();
    assert_eq!(summary["indexed"], 1, "the good document: {summary}");
    let failed = summary["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{summary}");
    failed[0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn memory_bombs_are_stopped_at_the_limit() {
    for bomb in ["blanks.pdf", "pages.pdf", "columns.pdf"] {
        let said = verdict(bomb, &["--parser-memory", "300MB"]);
        assert!(said.contains("more memory than 300 MB"), "{bomb}: {said}");
    }
}

#[test]
fn endless_work_ends_with_the_time() {
    let said = verdict("forms.pdf", &["--timeout", "1s"]);
    assert!(said.contains("longer than 1s"), "{said}");
}

#[test]
fn a_stack_overflow_is_one_files_failure() {
    let said = verdict("braces.pdf", &[]);
    assert!(said.contains("nested too deeply"), "{said}");
}

#[test]
fn a_small_file_cannot_become_a_library() {
    let said = verdict("text.pdf", &[]);
    assert!(said.contains("more than 50 MB of text"), "{said}");
}

/// Processes whose parent is `parent`.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task"));
    let lists = tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// A run that is reading a file which takes for ever, and its parser process.
#[cfg(target_os = "linux")]
fn hanging(home: &Home) -> (std::process::Child, u32) {
    home.copy("bombs/forms.pdf");
    let child = home.spawn(&mut home.command(&["ingest", "docs", "--timeout", "60s"]));
    let worker = wait_for("a parser process", || children(child.id()).first().copied());
    // Past its birth, when it is still a copy of its parent.
    std::thread::sleep(std::time::Duration::from_millis(300));
    (child, worker)
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_parser_process_costs_one_file() {
    let home = Home::new();
    let (child, worker) = hanging(&home);
    signal(worker, "ILL");
    let ran = crate::support::Ran::from(child.wait_with_output().unwrap()).expect(3);
    assert!(
        ran.stdout.contains("crashed on this file"),
        "{}",
        ran.stdout
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_parser_process_does_not_outlive_its_parent() {
    let home = Home::new();
    let (mut child, worker) = hanging(&home);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    wait_for("the end of the parser process", || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_parser_process_has_nothing_but_its_pipes_and_no_token() {
    let home = Home::new().env("STORM_API_TOKEN", "token-in-the-environment");
    let secret = home.write("secret.bin", "a descriptor left open by the shell");
    let file = std::fs::File::open(secret).unwrap();
    // What a careless shell does: a descriptor without close-on-exec.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    home.copy("bombs/forms.pdf");
    let args = [
        "ingest",
        "docs/forms.pdf",
        "--parser",
        "local",
        "--timeout",
        "60s",
    ];
    let mut child = home.spawn(&mut home.command(&args));
    let inherited = format!("/proc/{}/fd/{}", child.id(), file.as_raw_fd());
    assert!(
        PathBuf::from(inherited).exists(),
        "squall itself was given it"
    );
    let worker = wait_for("a parser process", || children(child.id()).first().copied());
    // Beyond the three pipes at most the document, while it is read.
    let open = wait_for("the parser process to be at work", || {
        let limits = std::fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
        // Set by the process itself, after it has closed what it inherited.
        let is_confined = limits.lines().any(|line| {
            line.starts_with("Max file size") && line.split_whitespace().nth(3) == Some("0")
        });
        let open = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        is_confined.then(|| targets.collect::<Vec<_>>())
    });
    let is_fine =
        |path: &PathBuf| path.to_string_lossy().starts_with("pipe:") || path.ends_with("forms.pdf");
    assert!(open.iter().all(is_fine), "{open:?}");
    let environment = std::fs::read(format!("/proc/{worker}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("token-in"));
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
