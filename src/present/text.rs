//! Reports as text for people.

mod answer;
mod evaluation;
mod summary;

use std::io::{Result, Write};
use std::path::Path;

use super::{Check, OptimizeReport, RemoveReport, Report, StatusReport};
use crate::inspect::markdown;
use crate::reembed::Reembedded;
use crate::store::{CollectionRow, DocumentRow, Finding, JobRow, Repaired, Transferred};
use crate::text::count;

/// Failures listed in a summary; `status` has them all.
const MOST_FAILURES: usize = 20;

/// Writes `report` to `out`.
pub fn render(report: &Report, out: &mut dyn Write) -> Result<()> {
    match report {
        Report::Ingest(report) => summary::ingest(report, out),
        Report::Answer(found) => answer::answer(found, out),
        Report::Refusal { error } => writeln!(out, "{error}"),
        Report::Inspection(found) => out.write_all(markdown(found).as_bytes()),
        Report::Table(table) => {
            let csv = table.csv().map_err(std::io::Error::other)?;
            out.write_all(csv.as_bytes())
        }
        Report::Status(report) => status(report, out),
        Report::Job(row) => job(row, out),
        Report::Removed(report) => removed(report, out),
        Report::Optimized { collections } => {
            collections.iter().try_for_each(|row| optimized(row, out))
        }
        Report::Reembedded(report) => reembedded(report, out),
        Report::Evaluated(found) => evaluation::evaluation(found, out),
        Report::Verified { findings, .. } => findings.iter().try_for_each(|row| finding(row, out)),
        Report::Repaired(report) => repaired(report, out),
        Report::Exported(report) => transferred("wrote", "to", report, out),
        Report::Imported(report) => transferred("took in", "from", report, out),
        Report::Users { users } => users.iter().try_for_each(|user| {
            let role = user.role.as_str();
            writeln!(out, "{:20} {role:7} {}", user.username, user.created_at)
        }),
        Report::Tokens { tokens } => tokens.iter().try_for_each(|token| {
            let role = token.role.as_str();
            writeln!(out, "{:20} {role:7} {}", token.name, token.created_at)
        }),
        Report::Token { token, .. } => writeln!(out, "{token}"),
        Report::Doctor { checks, .. } => checks.iter().try_for_each(|row| check(row, out)),
    }
}

/// What to say on stderr beside a report, so that stdout stays data.
pub fn note(report: &Report) -> Option<String> {
    match report {
        Report::Answer(answer) => answer::note(answer),
        Report::Token { .. } => Some("it is not shown again".into()),
        Report::Verified { healthy: false, .. } => Some("type `squall repair` to mend it".into()),
        Report::Ingest(summary) if summary.interrupted => {
            Some("stopped; run the same command again to go on, nothing is done twice".into())
        }
        _ => None,
    }
}

fn reembedded(report: &Reembedded, out: &mut dyn Write) -> Result<()> {
    if !report.changed {
        let (name, model) = (&report.collection, &report.model);
        return writeln!(out, "'{name}' has the {model} model already");
    }
    writeln!(
        out,
        "'{}' is now embedded with {} (before: {}), as {}: {}, {}",
        report.collection,
        report.model,
        report.was,
        report.why,
        count(report.documents, "document"),
        count(report.chunks, "new chunk")
    )
}

fn status(report: &StatusReport, out: &mut dyn Write) -> Result<()> {
    if report.collections.is_empty() {
        writeln!(
            out,
            "nothing has been ingested yet: type `squall ingest FOLDER`"
        )?;
    }
    for row in &report.collections {
        collection(row, out)?;
    }
    for row in &report.documents {
        document(row, out)?;
    }
    if !report.jobs_by_state.is_empty() {
        let states: Vec<String> = report
            .jobs_by_state
            .iter()
            .map(|(state, number)| format!("{number} {state}"))
            .collect();
        writeln!(out, "jobs: {}", states.join(", "))?;
    }
    report.jobs.iter().try_for_each(|row| job(row, out))
}

fn collection(row: &CollectionRow, out: &mut dyn Write) -> Result<()> {
    write!(
        out,
        "{}: {}, {}, {}, model {}, {}",
        row.collection,
        count(row.documents, "document"),
        count(row.pages, "page"),
        count(row.chunks, "chunk"),
        row.model,
        size(row.bytes)
    )?;
    let verdicts = [
        (row.blank_pages, "blank"),
        (row.empty_pages, "empty"),
        (row.garbled_pages, "garbled"),
        (row.failed_pages, "unreadable"),
    ];
    for (number, what) in verdicts.iter().filter(|(number, _)| *number > 0) {
        write!(out, ", {} {what}", count(*number, "page"))?;
    }
    if row.documents_without_text > 0 {
        let documents = count(row.documents_without_text, "document");
        write!(out, ", {documents} without any text")?;
    }
    writeln!(out)
}

fn document(row: &DocumentRow, out: &mut dyn Write) -> Result<()> {
    let paths: Vec<&str> = row.paths.iter().map(|path| short(path)).collect();
    write!(
        out,
        "{}  {}  {}, {}",
        &row.document_id.0[..12.min(row.document_id.0.len())],
        paths.join(" = "),
        count(u64::from(row.pages), "page"),
        count(u64::from(row.chunks), "chunk")
    )?;
    let verdicts = [
        (row.blank_pages, "blank"),
        (row.empty_pages, "empty"),
        (row.garbled_pages, "garbled"),
        (row.failed_pages, "unreadable"),
    ];
    for (number, what) in verdicts.iter().filter(|(number, _)| *number > 0) {
        write!(out, ", {number} {what}")?;
    }
    if row.chunks == 0 {
        write!(out, ", no text to find")?;
    }
    for (key, value) in &row.tags {
        write!(out, "  {key}={value}")?;
    }
    writeln!(out)
}

fn job(row: &JobRow, out: &mut dyn Write) -> Result<()> {
    let paths: Vec<&str> = row.paths.iter().map(|path| short(path)).collect();
    write!(
        out,
        "{}  {}  {}",
        row.job.id,
        row.job.state.as_str(),
        paths.join(" = ")
    )?;
    if let Some(remote_id) = &row.job.remote_id {
        write!(out, "  (at {} as {remote_id})", row.job.service)?;
    }
    writeln!(out)?;
    if let Some(error) = &row.job.error {
        writeln!(out, "    {error}")?;
    }
    match row.job.state {
        crate::ledger::JobState::Lost => {
            writeln!(out, "    squall ingest --retry lost PATH sends it again")
        }
        state if state.is_failure() && row.job.service != crate::parse::local::SERVICE => {
            writeln!(out, "    squall ingest --retry failed PATH sends it again")
        }
        _ => Ok(()),
    }
}

fn removed(report: &RemoveReport, out: &mut dyn Write) -> Result<()> {
    let verb = if report.dry_run {
        "would remove"
    } else {
        "removed"
    };
    for path in &report.paths {
        writeln!(out, "{verb} {}", short(path))?;
    }
    if report.collection_dropped {
        writeln!(out, "removed collection '{}'", report.collection)?;
    }
    Ok(())
}

fn optimized(row: &OptimizeReport, out: &mut dyn Write) -> Result<()> {
    let graph = match row.refreshed.graph_rebuilt {
        true => "HNSW graph built",
        false => "no HNSW graph (exact search is faster at this size)",
    };
    writeln!(
        out,
        "{}: index files of {}, {graph}",
        row.collection,
        count(row.refreshed.chunks, "chunk")
    )
}

fn finding(finding: &Finding, out: &mut dyn Write) -> Result<()> {
    let Some(first) = finding.problems.first() else {
        return writeln!(out, "ok     {}", finding.name);
    };
    writeln!(out, "WRONG  {}: {first}", finding.name)?;
    for problem in finding.problems.iter().skip(1).take(MOST_FAILURES) {
        writeln!(out, "       {problem}")?;
    }
    let more = finding.problems.len().saturating_sub(1 + MOST_FAILURES);
    match more {
        0 => Ok(()),
        more => writeln!(out, "       and {more} more"),
    }
}

fn repaired(report: &Repaired, out: &mut dyn Write) -> Result<()> {
    if report.salvaged {
        let documents = count(report.documents, "document");
        writeln!(
            out,
            "the database was built anew from what could be read: {documents}"
        )?;
    }
    for path in &report.dropped {
        writeln!(out, "dropped, to be ingested anew: {}", short(path))?;
    }
    if report.dropped_rows > 0 {
        writeln!(out, "dropped {}", count(report.dropped_rows, "damaged row"))?;
    }
    if report.mended_rows > 0 {
        writeln!(out, "mended {}", count(report.mended_rows, "damaged row"))?;
    }
    if report.ledger_is_incomplete {
        writeln!(
            out,
            "part of the ledger could not be read: not all that was sent to a service is known; \
             --dry-run tells what the next ingest would send"
        )?;
    }
    for name in &report.kept_collections {
        writeln!(
            out,
            "kept collection '{name}', whose own row was damaged: its name may be misspelt"
        )?;
    }
    if report.embedded > 0 {
        writeln!(out, "embedded {} anew", count(report.embedded, "chunk"))?;
    }
    if report.accepted_lost_writes > 0 {
        let writes = count(report.accepted_lost_writes, "write");
        writeln!(out, "took the store as it is, without its latest {writes}")?;
    }
    if report.left.is_empty() {
        writeln!(out, "the index files are made anew; all else is well")?;
    }
    if let Some(folder) = &report.quarantine {
        writeln!(out, "what was there before is in {folder}")?;
    }
    report
        .left
        .iter()
        .try_for_each(|left| writeln!(out, "left: {left}"))
}

fn transferred(verb: &str, way: &str, report: &Transferred, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "{verb} collection '{}' {way} {}: {}, {}, {}",
        report.collection,
        report.file,
        count(report.documents, "document"),
        count(report.chunks, "chunk"),
        count(report.jobs, "job")
    )
}

fn check(check: &Check, out: &mut dyn Write) -> Result<()> {
    let mark = if check.ok { "ok" } else { "WRONG" };
    writeln!(out, "{mark:<6} {}: {}", check.name, check.detail)?;
    match check.hint {
        Some(hint) => writeln!(out, "       {hint}"),
        None => Ok(()),
    }
}

/// `path` as seen from the current folder, where it is below it.
fn short(path: &str) -> &str {
    let here = std::env::current_dir().ok();
    here.as_deref()
        .and_then(|here| Path::new(path).strip_prefix(here).ok())
        .and_then(Path::to_str)
        .filter(|short| !short.is_empty())
        .unwrap_or(path)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_naturally() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(123_456), "123 kB");
        assert_eq!(size(12_345_678), "12 MB");
    }
}
