//! Progress on stderr: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::ingest::{Event, Observer};
use crate::text::count;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// Columns of a file name in a bar.
const NAME_WIDTH: usize = 32;

/// One overall bar, and a line for each document under way.
pub struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
    documents: Mutex<HashMap<String, ProgressBar>>,
}

/// The bars that are on the terminal now.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Runs what writes to the terminal while the bars are out of its way.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().ok().and_then(|shown| shown.clone());
    match shown {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

impl Bars {
    pub fn new() -> Self {
        let all = MultiProgress::new();
        if let Ok(mut shown) = SHOWN.lock() {
            *shown = Some(all.clone());
        }
        let overall = all.add(ProgressBar::new(0));
        overall.set_style(style(
            "{pos}/{len} documents  {elapsed}  {wide_bar:.cyan/dim}",
        ));
        overall.enable_steady_tick(TICK);
        Self {
            all,
            overall,
            documents: Mutex::default(),
        }
    }

    fn with(&self, path: &str, change: impl FnOnce(&ProgressBar)) {
        let mut documents = self.documents();
        let bar = documents.entry(path.to_owned()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new_spinner());
            bar.set_style(style("  {spinner} {prefix}  {wide_msg}"));
            bar.set_prefix(name(path));
            bar.enable_steady_tick(TICK);
            bar
        });
        change(bar);
    }

    fn finish(&self, path: &str) {
        if let Some(bar) = self.documents().remove(path) {
            bar.finish_and_clear();
        }
        self.overall.inc(1);
    }

    fn documents(&self) -> std::sync::MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.documents
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One bar for work that is a number of equal pieces.
pub struct Counter {
    bar: ProgressBar,
}

impl Counter {
    /// Draws nothing unless `shown`.
    pub fn new(what: &'static str, shown: bool) -> Self {
        let bar = match shown {
            true => ProgressBar::new(0),
            false => ProgressBar::hidden(),
        };
        bar.set_style(style(
            "{pos}/{len} {msg}  {elapsed}  {wide_bar:.cyan/dim}  {eta}",
        ));
        bar.set_message(what);
        Self { bar }
    }

    /// `done` of `total` pieces are done.
    pub fn at(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Bars {
    fn hear(&self, event: &Event) {
        match event {
            Event::Found { documents } => self.overall.set_length(*documents),
            Event::AllFound { documents } => self.overall.set_length(*documents),
            Event::Started { path, .. } | Event::Parsing { path } => {
                self.with(path, |bar| bar.set_message("parsing"));
            }
            Event::Recognising { path, pages, of } => self.with(path, |bar| {
                bar.set_message(format!("reading pictures {pages}/{of}"));
            }),
            Event::Parsed { path } => self.with(path, |bar| bar.set_message("parsed")),
            Event::Uploading { path, sent, total } => self.with(path, |bar| {
                bar.set_message(format!("uploading {} of {} kB", sent / 1000, total / 1000));
            }),
            Event::Submitted { path, .. } => self.with(path, |bar| bar.set_message("uploaded")),
            Event::Waiting {
                path,
                state,
                seconds,
            } => self.with(path, |bar| {
                bar.set_message(format!("waiting, {state} {seconds:.0} s"));
            }),
            Event::Retrying {
                path,
                reason,
                seconds,
            } => self.with(path, |bar| {
                bar.set_message(format!("trying again in {seconds:.1} s: {reason}"));
            }),
            Event::Embedding { path, chunks, of } => self.with(path, |bar| {
                bar.set_message(format!("embedding {chunks}/{of}"));
            }),
            Event::Failed { path, reason, .. } => {
                self.finish(path);
                self.say(&format!("failed: {path}: {reason}"));
            }
            Event::Indexed { path, .. }
            | Event::Skipped { path, .. }
            | Event::Pending { path, .. }
            | Event::WouldIngest { path, .. }
            | Event::Parked { path, .. } => self.finish(path),
            Event::NotEscalated { path, reason, .. } => {
                self.say(&format!("not read anew by the service: {path}: {reason}"));
            }
            Event::Pruned { path } => self.say(&format!("pruned: {path}")),
            Event::Took { .. } => {}
        }
    }

    fn say(&self, line: &str) {
        // Only fails when stderr is gone, and then there is nobody to tell.
        let _ = self.all.println(line);
    }

    fn finish(&self) {
        for (_, bar) in self.documents().drain() {
            bar.finish_and_clear();
        }
        self.overall.finish_and_clear();
        // As above.
        let _ = self.all.clear();
        if let Ok(mut shown) = SHOWN.lock() {
            *shown = None;
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The file name, its middle left out where it is long.
fn name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= NAME_WIDTH {
        return name.to_owned();
    }
    let half = NAME_WIDTH / 2;
    let head: String = chars[..half].iter().collect();
    let tail: String = chars[chars.len() - half + 1..].iter().collect();
    format!("{head}…{tail}")
}

/// A line for each thing that is news.
pub struct Lines;

impl Observer for Lines {
    fn hear(&self, event: &Event) {
        if let Some(line) = line(event) {
            self.say(&line);
        }
    }

    fn say(&self, line: &str) {
        crate::present::say(line);
    }

    fn finish(&self) {}
}

/// An event in words, where it is news.
pub fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Submitted {
            path, remote_id, ..
        } => format!("submitted {path} as {remote_id}"),
        Event::Retrying {
            path,
            reason,
            seconds,
        } => format!("retrying {path} in {seconds:.1} s: {reason}"),
        Event::Indexed {
            path,
            pages,
            chunks,
            replaced,
            ..
        } => {
            let verb = if *replaced { "replaced" } else { "indexed" };
            let (pages, chunks) = (count(*pages as u64, "page"), count(*chunks as u64, "chunk"));
            format!("{verb} {path} ({pages}, {chunks})")
        }
        Event::Pending {
            path,
            job,
            remote_id,
        } => {
            format!("pending {path}: job {job}, {remote_id} at the service")
        }
        Event::WouldIngest { path, bytes, sent } => match sent {
            true => format!("would send {path} ({bytes} bytes)"),
            false => format!("would ingest {path} ({bytes} bytes)"),
        },
        Event::NotEscalated { path, reason, .. } => {
            format!("not read anew by the service {path}: {reason}")
        }
        Event::Failed { path, reason, hint } => match hint {
            Some(hint) => format!("failed {path}: {reason}; {hint}"),
            None => format!("failed {path}: {reason}"),
        },
        Event::Parked { path, reason } => match reason {
            Some(reason) => format!("parked {path}: {reason}"),
            None => format!("parked {path}"),
        },
        Event::Pruned { path } => format!("pruned {path}"),
        // What did not change is counted in the summary.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(name("/a/b.pdf"), "b.pdf");
        let long = name(&format!("/a/{}.pdf", "가".repeat(60)));
        assert_eq!(long.chars().count(), NAME_WIDTH);
        assert!(long.ends_with(".pdf"));
    }

    #[test]
    fn ticks_make_no_lines() {
        let event = Event::Embedding {
            path: "p".into(),
            chunks: 1,
            of: 2,
        };
        assert!(event.is_tick() && line(&event).is_none());
    }
}
