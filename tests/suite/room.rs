//! Where there is no room or no right to write: a clear error, the right exit code, and what is
//! stored stays.

use std::process::Command;

use crate::ingest::demo;
use crate::support::{Home, Ran};

/// Runs a shell script in the home, with the program as `$SQUALL`.
fn script(home: &Home, program: &str, args: &[&str], text: &str) -> Ran {
    let mut command = Command::new(program);
    command.args(args).args(["sh", "-c", text]);
    let ours = home.command(&[]);
    command.env_clear().current_dir(home.path());
    for (key, value) in ours.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.env("SQUALL", ours.get_program());
    Ran::from(command.output().unwrap())
}

/// Text that takes room, and no time: the model does not read Korean.
fn words(number: usize) -> String {
    format!("등대 {number} 항구 ").repeat(700)
}

#[test]
fn a_limit_on_file_size_is_named_and_nothing_stored_is_lost() {
    let home = demo();
    for number in 0..60 {
        home.write(&format!("more/{number}.txt"), words(number));
    }
    // The signal is ignored, so that writing fails as it does beyond a quota.
    let limited = "trap '' XFSZ; ulimit -f 600; exec $SQUALL ingest docs";
    let ran = script(&home, "env", &[], limited);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("cannot be written"), "{}", ran.stderr);
    home.run(&["verify"]).expect(0);
    home.run(&["query", "who approved the budget?"]).expect(0);
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["verify"]).expect(0);
}

/// In a name space of its own, with a small file system on `data`.
#[cfg(target_os = "linux")]
fn on_small_disk(home: &Home, text: &str) -> Ran {
    std::fs::create_dir_all(home.data_dir()).unwrap();
    let mounted = format!("set -e; mount -t tmpfs -o size=1m tmpfs data; {text}");
    script(
        home,
        "unshare",
        &["--user", "--map-root-user", "--mount"],
        &mounted,
    )
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the right to mount in a name space of its own"]
fn a_full_disk_is_named_and_what_is_in_stays_in() {
    let home = Home::new();
    home.write("first.txt", "The lighthouse keeper is called Marten.");
    for number in 0..60 {
        home.write(
            &format!("more/{number}.txt"),
            format!("{number} ").repeat(3000),
        );
    }
    let ran = on_small_disk(
        &home,
        "$SQUALL -q ingest docs/first.txt
         code=0; $SQUALL -q ingest docs || code=$?; echo \"exit $code\"
         $SQUALL query 'who is the lighthouse keeper?'
         rm -rf data/uploads; mount -o remount,size=40m data
         $SQUALL verify; $SQUALL -q ingest docs; $SQUALL verify",
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("exit 5"), "{}", ran.stdout);
    assert!(ran.stderr.contains("disk is full"), "{}", ran.stderr);
    assert!(ran.stdout.contains("Marten"), "{}", ran.stdout);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the right to mount in a name space of its own"]
fn a_read_only_disk_answers_and_refuses_to_write() {
    let home = Home::new();
    home.write("first.txt", "The lighthouse keeper is called Marten.");
    home.write("later/second.txt", "The second lighthouse has no keeper.");
    let ran = on_small_disk(
        &home,
        "$SQUALL -q ingest docs/first.txt
         mount -o remount,ro data
         $SQUALL query 'who is the lighthouse keeper?'
         $SQUALL status
         code=0; $SQUALL ingest docs || code=$?; echo \"exit $code\"",
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("Marten"), "{}", ran.stdout);
    assert!(ran.stdout.contains("exit 5"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("cannot be opened for writing"),
        "{}",
        ran.stderr
    );
}
