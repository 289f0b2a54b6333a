//! The parent's side of the cage: child processes of this same program that read files under limits.
//! They are kept warm between files, and one that dies takes only its file along.

use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use std::os::unix::process::ExitStatusExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::read::{Answer, Request};
use super::worker::MAX_FRAME;
use crate::parse::ParseError;

/// What reading one file may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub time: Duration,
    /// Bytes a child process may allocate (`RLIMIT_DATA`; Linux only).
    pub memory: u64,
}

/// Files after which a child is replaced: what it may have leaked goes with it.
const MOST_FILES: u32 = 200;
/// Most of a dead child's stderr that is looked at.
const LAST_WORDS: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(5);
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Child processes, as many as are asked at once.
pub struct Cage {
    limits: Limits,
    idle: Mutex<Vec<Worker>>,
}

/// How asking a child ended, other than with an answer.
enum Death {
    OutOfTime,
    /// By itself, with what it said last.
    Crashed {
        signal: Option<i32>,
        last_words: String,
    },
}

impl Cage {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            idle: Mutex::default(),
        }
    }

    /// Has `request` answered by a child, a new one where none is idle.
    ///
    /// # Errors
    /// A [`ParseError::Document`] that says which limit the file passed or that it crashed its
    /// reader.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ParseError> {
        let idle = self.idle().pop();
        let was_used = idle.is_some();
        let first = match idle {
            Some(worker) => self.try_with(worker, request).await?,
            None => {
                self.try_with(Worker::start(self.limits.memory)?, request)
                    .await?
            }
        };
        let ended = match first {
            // What earlier files left in its memory must not be held against this one.
            Err(Death::Crashed { .. }) if was_used => {
                self.try_with(Worker::start(self.limits.memory)?, request)
                    .await?
            }
            ended => ended,
        };
        ended.map_err(|death| self.explain(&death))
    }

    /// Ends the children that wait for work, and waits until they have.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for Worker {
            mut child, input, ..
        } in idle
        {
            drop(input);
            // One that does not end is killed as it is dropped.
            let _ = tokio::time::timeout(PATIENCE, child.wait()).await;
        }
    }

    async fn try_with(
        &self,
        mut worker: Worker,
        request: &Request,
    ) -> anyhow::Result<Result<Answer, Death>> {
        match tokio::time::timeout(self.limits.time, worker.exchange(request)).await {
            Ok(Ok(answer)) => {
                worker.served += 1;
                if worker.served < MOST_FILES {
                    self.idle().push(worker);
                }
                Ok(Ok(answer))
            }
            Ok(Err(error)) => {
                tracing::debug!("a parser process ended: {error:#}");
                Ok(Err(worker.bury().await?))
            }
            // Dropping it kills it.
            Err(_) => Ok(Err(Death::OutOfTime)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn explain(&self, death: &Death) -> ParseError {
        match death {
            Death::OutOfTime => {
                let limit = humantime::format_duration(self.limits.time);
                ParseError::unreadable_here(
                    format!("parsing took longer than {limit}"),
                    "give it more with --timeout",
                )
            }
            Death::Crashed { last_words, .. } if last_words.contains("overflowed its stack") => {
                ParseError::unreadable_here(
                    "the file is nested too deeply to be read",
                    "saving it anew in its own program often helps",
                )
            }
            Death::Crashed {
                signal: Some(SIGKILL),
                ..
            } => ParseError::unreadable_here(
                "the parser process was killed (signal 9), perhaps for want of memory",
                "run the same command again",
            ),
            Death::Crashed { last_words, .. } if last_words.contains("memory allocation") => {
                ParseError::unreadable_here(
                    format!(
                        "reading it takes more memory than {} MB",
                        self.limits.memory / 1_000_000
                    ),
                    "if it is not meant to do harm, give it more with --parser-memory",
                )
            }
            Death::Crashed { signal, .. } => ParseError::unreadable_here(
                match signal {
                    Some(signal) if *signal != SIGABRT => {
                        format!("the parser crashed on this file (signal {signal})")
                    }
                    _ => "the parser crashed on this file".to_owned(),
                },
                "the file is probably damaged; saving it anew in its own program often helps",
            ),
        }
    }
}

/// One child, killed when it is dropped.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    served: u32,
}

impl Worker {
    fn start(memory: u64) -> anyhow::Result<Self> {
        let mut child = Command::new(program()?)
            .args(["parse-worker", "--memory", &memory.to_string()])
            // No token and nothing else of ours is its business.
            .env_clear()
            // Memory is taken as it is needed, so that the limit counts what is used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .env("MIMALLOC_ARENA_RESERVE", "65536")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the parent, which then decides.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a parser process")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.context("a parser process has no pipes")?;
        Ok(Self {
            child,
            input,
            output,
            served: 0,
        })
    }

    async fn exchange(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let frame = serde_json::to_vec(request)?;
        self.input
            .write_all(&(frame.len() as u32).to_le_bytes())
            .await?;
        self.input.write_all(&frame).await?;
        self.input.flush().await?;
        let length = self.output.read_u32_le().await? as usize;
        anyhow::ensure!(length <= MAX_FRAME, "an answer of {length} bytes");
        let mut frame = vec![0; length];
        self.output.read_exact(&mut frame).await?;
        Ok(serde_json::from_slice(&frame)?)
    }

    /// How it died.
    async fn bury(mut self) -> anyhow::Result<Death> {
        let mut last_words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let mut words = stderr.take(LAST_WORDS);
            // A child that is not dead after all is killed when this function ends.
            let _ = tokio::time::timeout(PATIENCE, words.read_to_end(&mut last_words)).await;
        }
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let signal = match ended {
            Ok(status) => status?.signal(),
            Err(_) => None,
        };
        let last_words = String::from_utf8_lossy(&last_words).into_owned();
        tracing::debug!("signal {signal:?}, last words: {last_words}");
        Ok(Death::Crashed { signal, last_words })
    }
}

/// This program. Linux names the running one even after an update has replaced its file.
fn program() -> anyhow::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context("cannot find this program's own file")
}
