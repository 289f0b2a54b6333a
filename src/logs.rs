//! Log lines: on stderr, and those of a server in files that roll over each day and when they are full.

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use anyhow::Context as _;
use chrono::{DateTime, Local, NaiveDate, Utc};
use rolling_file::{RollingCondition, RollingFileAppender};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::ingest::{Event, Observer};
use crate::progress;
use crate::settings::{LogFormat, LogLevel, Settings};
use crate::text::one_line;
use crate::usage;

/// The target of a line for each request.
pub const ACCESS: &str = "access";
/// Full files of a kind that are kept beside the one being written.
const KEPT: usize = 14;

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;
/// Filters of a server's lines, which can change while it runs.
type Handle = reload::Handle<EnvFilter, Registry>;
static LEVEL: OnceLock<Vec<Handle>> = OnceLock::new();

/// Logs to stderr, for commands that end. `RUST_LOG` overrules the flags.
pub fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,squall=info",
        (false, _) => "info,squall=debug",
    };
    let layer = stderr(LogFormat::Text);
    install(vec![layer.with_filter(filter(level)).boxed()]);
}

/// Logs as the settings of a server say.
///
/// # Errors
/// A usage error where the files cannot be written.
pub fn start_server(settings: &Settings) -> anyhow::Result<()> {
    let format = settings.log_format;
    let (to_stderr, stderr_level) = reload::Layer::new(filter(directives(settings.log_level)));
    let mut layers = vec![stderr(format).with_filter(to_stderr).boxed()];
    let mut levels = vec![stderr_level];
    if let Some(dir) = &settings.log_dir {
        let file = |name: &str| {
            file(&dir.join(name), settings.log_size).map_err(|error| {
                usage!(
                    "cannot write {name} in {}: {error}; --log-dir names another folder",
                    dir.display()
                )
            })
        };
        std::fs::create_dir_all(dir).map_err(|error| {
            usage!(
                "cannot make {}: {error}; --log-dir names another folder",
                dir.display()
            )
        })?;
        let (to_app, app_level) = reload::Layer::new(filter(directives(settings.log_level)));
        levels.push(app_level);
        let trouble = Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("rmcp", LevelFilter::ERROR);
        let is_access = |level| {
            Targets::new()
                .with_default(LevelFilter::OFF)
                .with_target(ACCESS, level)
        };
        layers.push(lines(format, file("app.log")?).with_filter(to_app).boxed());
        layers.push(
            lines(format, file("error.log")?)
                .with_filter(trouble)
                .boxed(),
        );
        layers.push(
            lines(format, file("access.log")?)
                .with_filter(is_access(LevelFilter::INFO))
                .boxed(),
        );
    }
    install(layers);
    // A second server in this process would keep the first one's; there is none.
    let _ = LEVEL.set(levels);
    Ok(())
}

/// Changes what a server logs, while it runs.
///
/// # Errors
/// When logging was not started by [`start_server`].
pub fn set_level(level: LogLevel) -> anyhow::Result<()> {
    for handle in LEVEL.get().into_iter().flatten() {
        handle
            .reload(filter(directives(level)))
            .context("the log level")?;
    }
    Ok(())
}

/// What is logged at a level: other people's libraries only when something is wrong, and `rmcp` not when it
/// repeats what a client sent.
fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn,rmcp=error",
        LogLevel::Info => "warn,squall=info,rmcp=error",
        LogLevel::Debug => "info,squall=debug,rmcp=error",
    }
}

fn filter(directives: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives))
}

fn install(layers: Vec<Boxed>) {
    tracing_subscriber::registry().with(layers).init();
}

/// Without the time on a terminal and in a journal, which has it.
fn stderr(format: LogFormat) -> Boxed {
    let lines = fmt::layer().with_target(false);
    match format {
        LogFormat::Json => lines
            .with_writer(std::io::stderr)
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text if std::io::stderr().is_terminal() => {
            lines.with_writer(|| AboveBars).without_time().boxed()
        }
        LogFormat::Text => {
            let stderr = || Tame(std::io::stderr());
            let lines = lines.with_writer(stderr).with_ansi(false);
            match std::env::var_os("JOURNAL_STREAM") {
                Some(_) => lines.without_time().boxed(),
                None => lines.boxed(),
            }
        }
    }
}

fn lines(format: LogFormat, file: Flushed) -> Boxed {
    // What cannot be written because the disk is full is not complained of line by line.
    let lines = fmt::layer().with_ansi(false).log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_writer(Mutex::new(Tame(file))).boxed(),
        LogFormat::Json => lines
            .with_writer(Mutex::new(file))
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

/// A terminal that may have bars on it.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        crate::progress::aside(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Bytes of a line, the rest of which is left out.
const LONGEST: usize = 8192;

/// Writes whole lines. What clients send may be in them, so they hold no control characters and have an end.
struct Tame<W>(W);

impl<W: Write> Write for Tame<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text.len() <= LONGEST && !text.iter().any(u8::is_ascii_control) {
            self.0.write_all(line)?;
        } else {
            let text = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]);
            let text = text.replace(|c: char| c.is_control(), " ");
            self.0.write_all(format!("{text}\n").as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A file whose lines are there as soon as they are written.
struct Flushed(RollingFileAppender<DailyOrFull>);

impl Write for Flushed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn file(path: &Path, most: u64) -> std::io::Result<Flushed> {
    let changed = std::fs::metadata(path).and_then(|known| known.modified());
    let day = changed
        .map_or_else(|_| Utc::now(), DateTime::from)
        .date_naive();
    let file = RollingFileAppender::new(path, DailyOrFull { day, most }, KEPT)?;
    Ok(Flushed(file))
}

/// The crate's own condition goes by local time, where a day may have no midnight; lines have UTC.
struct DailyOrFull {
    /// Of the last line.
    day: NaiveDate,
    most: u64,
}

impl RollingCondition for DailyOrFull {
    fn should_rollover(&mut self, now: &DateTime<Local>, size: u64) -> bool {
        let today = now.to_utc().date_naive();
        let is_due = size > 0 && (size >= self.most || today != self.day);
        self.day = today;
        is_due
    }
}

/// Hears of a server's ingests and logs them.
pub struct Logged;

impl Observer for Logged {
    fn hear(&self, event: &Event) {
        // Names of files may hold line breaks.
        match progress::line(event).map(|line| one_line(&line)) {
            Some(line) if matches!(event, Event::Failed { .. }) => tracing::warn!("{line}"),
            Some(line) => tracing::info!("{line}"),
            None => {}
        }
    }

    fn say(&self, line: &str) {
        tracing::info!("{}", one_line(line.trim_start_matches("squall: ")));
    }

    fn finish(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_made_of_what_a_client_sends() {
        let tamed = |line: &str| {
            let mut out = Vec::new();
            Tame(&mut out).write_all(line.as_bytes()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(tamed("a line of 안내\n"), "a line of 안내\n");
        assert_eq!(
            tamed("id \"1\n2026 ERROR forged \u{1b}[31m\u{9b}\"\n"),
            "id \"1 2026 ERROR forged  [31m \"\n"
        );
        let long = tamed(&"x".repeat(1 << 20));
        assert!(long.len() == LONGEST + 1 && long.ends_with("x\n"));
    }

    #[test]
    fn a_full_file_makes_room_for_a_new_one_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let mut file = file(&path, 10).unwrap();
        for n in 0..40 {
            let line = format!("line number {n}\n");
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line number 39\n");
        let first = std::fs::read_to_string(dir.path().join("app.log.1")).unwrap();
        assert_eq!(first, "line number 38\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), KEPT + 1);
    }

    #[test]
    fn a_new_day_begins_a_new_file_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        file(&path, 1000).unwrap().write_all(b"today\n").unwrap();
        file(&path, 1000)
            .unwrap()
            .write_all(b"still today\n")
            .unwrap();
        let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(24 * 3600);
        let handle = std::fs::File::options().append(true).open(&path).unwrap();
        handle.set_modified(yesterday).unwrap();
        file(&path, 1000).unwrap().write_all(b"tomorrow\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tomorrow\n");
        let old = std::fs::read_to_string(dir.path().join("app.log.1")).unwrap();
        assert_eq!(old, "today\nstill today\n");
    }
}
