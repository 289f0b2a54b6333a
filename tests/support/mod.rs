//! What scenarios are made of: a temporary home with the real program in it, and a scripted
//! Storm server.

pub mod service;
pub mod storm;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A home of its own: data, configuration and documents live and die with it.
pub struct Home {
    root: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            env: Vec::new(),
        }
    }

    /// Sets a variable for every run.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A home whose runs talk to `server` with the token it wants.
    pub fn with_storm(server: &storm::Server) -> Self {
        Self::new()
            .env("STORM_API_URL", &server.url())
            .env("STORM_API_TOKEN", storm::TOKEN)
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file below the home's `docs` folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join("docs").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Copies a fixture into the home's `docs` folder.
    pub fn copy(&self, fixture_name: &str) -> PathBuf {
        let name = fixture_name.rsplit('/').next().unwrap();
        self.write(name, std::fs::read(fixture(fixture_name)).unwrap())
    }

    /// The program, with nothing of the surrounding environment but the path.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("SQUALL_DATA_DIR", self.data_dir())
            // Whatever engine is installed here: a scan has no text unless a test wants it read.
            .env("SQUALL_OCR", "off")
            .stdin(Stdio::null());
        for (key, value) in &self.env {
            command.env(key, value);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Runs with `input` on stdin.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.spawn(self.command(args).stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(input).unwrap();
        Ran::from(child.wait_with_output().unwrap())
    }

    /// Starts a command with its output captured.
    pub fn spawn(&self, command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs, expects `code`, and gives the lines of stdout as JSON, each with its schema.
    pub fn json(&self, args: &[&str], code: i32) -> Vec<Value> {
        let ran = self.run(&[args, &["--json"]].concat()).expect(code);
        ran.json()
    }
}

impl Ran {
    /// Fails with everything the run said unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &str| -> Value {
            let value: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{error} in line {line:?}"));
            assert_eq!(value["schema"], 1, "{line}");
            value
        };
        self.stdout.lines().map(parse).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// Waits until `ready` gives something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed().as_secs() < 60, "waited too long for {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
