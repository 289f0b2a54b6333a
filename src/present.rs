//! The one place that writes to stdout. Text and JSON are two renderings of the same reports.

mod text;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use serde::Serialize;

use crate::accounts::{Role, TokenRow, User};
use crate::cli::Global;
use crate::document::{Answer, SCHEMA};
use crate::eval::Evaluation;
use crate::extract::Table;
use crate::ingest::{Event, Observer, Summary};
use crate::inspect::Inspection;
use crate::logs::Logged;
use crate::progress::{Bars, Counter, Lines};
use crate::reembed::Reembedded;
use crate::store::{CollectionRow, DocumentRow, Finding, JobRow, Refreshed, Repaired, Transferred};

/// What a command has to say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    Ingest(Box<Summary>),
    Answer(Answer),
    /// A question in a stream that was not taken.
    Refusal {
        error: String,
    },
    Inspection(Box<Inspection>),
    Table(Table),
    Status(StatusReport),
    Job(JobRow),
    Removed(RemoveReport),
    Optimized {
        collections: Vec<OptimizeReport>,
    },
    Reembedded(Reembedded),
    Evaluated(Box<Evaluation>),
    Verified {
        healthy: bool,
        findings: Vec<Finding>,
    },
    Repaired(Repaired),
    Exported(Transferred),
    Imported(Transferred),
    Doctor {
        healthy: bool,
        checks: Vec<Check>,
    },
    Users {
        users: Vec<User>,
    },
    Tokens {
        tokens: Vec<TokenRow>,
    },
    /// The one time a token is shown.
    Token {
        name: String,
        role: Role,
        token: String,
    },
}

/// What `status` shows.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    pub data_dir: String,
    pub collections: Vec<CollectionRow>,
    pub jobs_by_state: BTreeMap<&'static str, u64>,
    pub jobs: Vec<JobRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentRow>,
}

/// What `remove` did.
#[derive(Debug, Serialize)]
pub struct RemoveReport {
    pub collection: String,
    pub dry_run: bool,
    pub collection_dropped: bool,
    pub paths: Vec<String>,
}

/// What `optimize` did to one collection.
#[derive(Debug, Serialize)]
pub struct OptimizeReport {
    pub collection: String,
    #[serde(flatten)]
    pub refreshed: Refreshed,
}

/// One line of `doctor`.
#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
    /// What to type where it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

impl Check {
    /// A check that cannot be wrong.
    pub fn fine(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            detail: detail.into(),
            hint: None,
        }
    }

    /// A check that is as good as `result`.
    pub fn of<E>(
        name: &'static str,
        result: Result<String, E>,
        explain: impl FnOnce(E) -> (String, &'static str),
    ) -> Self {
        match result {
            Ok(detail) => Self::fine(name, detail),
            Err(error) => {
                let (detail, hint) = explain(error);
                Self {
                    name,
                    ok: false,
                    detail,
                    hint: Some(hint),
                }
            }
        }
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: u32,
    #[serde(flatten)]
    inner: &'a T,
}

/// How to print: chosen once from the global options.
#[derive(Debug, Clone)]
pub struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    pub fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// Whether the user wants JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a report as the user wants it.
    pub fn print(&self, report: &Report) -> anyhow::Result<()> {
        if self.json {
            return self.json_line(report);
        }
        let mut out = std::io::stdout().lock();
        text::render(report, &mut out)?;
        out.flush()?;
        if let Some(note) = text::note(report) {
            self.note(&note);
        }
        Ok(())
    }

    /// Prints a report as one line of JSON, whatever the options.
    pub fn json_line(&self, report: &Report) -> anyhow::Result<()> {
        write_json(report)
    }

    /// Prints raw output, such as a completion script.
    pub fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// A word to the user on stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(&format!("squall: {text}"));
        }
    }

    /// Who hears of an ingest's events: bars on a terminal, plain lines elsewhere, and with
    /// `--json` a line of JSON on stdout for each that is news.
    pub fn observer(&self) -> Arc<dyn Observer> {
        if !self.quiet && std::io::stderr().is_terminal() {
            return self.told(Some(Box::new(Bars::new())));
        }
        self.log_observer()
    }

    /// A bar that counts up to a number, on a terminal only.
    pub fn counter(&self, what: &'static str) -> Counter {
        Counter::new(what, !self.quiet && std::io::stderr().is_terminal())
    }

    /// Who hears of events where bars would be in the way.
    pub fn log_observer(&self) -> Arc<dyn Observer> {
        match self.quiet {
            true => self.told(None),
            false => self.told(Some(Box::new(Lines))),
        }
    }

    /// Who hears of a server's events: the log, as bars would never end.
    pub fn server_observer(&self) -> Arc<dyn Observer> {
        self.told(Some(Box::new(Logged)))
    }

    fn told(&self, progress: Option<Box<dyn Observer>>) -> Arc<dyn Observer> {
        Arc::new(Told {
            progress,
            json: self.json,
        })
    }
}

struct Told {
    progress: Option<Box<dyn Observer>>,
    json: bool,
}

impl Observer for Told {
    fn hear(&self, event: &Event) {
        if let Some(progress) = &self.progress {
            progress.hear(event);
        }
        if self.json
            && !event.is_tick()
            && let Err(error) = write_json(event)
        {
            // The reader has gone; the ingest goes on, and its summary will fail to print too.
            tracing::debug!("an event was not printed: {error:#}");
        }
    }

    fn say(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.say(line),
            None => say(line),
        }
    }

    fn finish(&self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }
}

fn write_json<T: Serialize>(inner: &T) -> anyhow::Result<()> {
    let schema = SCHEMA;
    let mut line = serde_json::to_vec(&Versioned { schema, inner })?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}

/// An error on stderr: what happened, and the causes that add something.
pub fn complain(error: &anyhow::Error) {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !message.contains(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
    }
    say(&format!("squall: {message}"));
}

/// A line on stderr; that nobody may be listening there is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
