//! How an ingest went, in words.

use std::io::{Result, Write};

use super::{MOST_FAILURES, short, size};
use crate::ingest::{BadlyRead, Summary};
use crate::text::count;

/// What went in, what did not and why, and what left the machine.
pub fn ingest(summary: &Summary, out: &mut dyn Write) -> Result<()> {
    if summary.dry_run {
        write!(
            out,
            "would ingest {} into '{}'",
            count(summary.would_ingest, "document"),
            summary.collection
        )?;
    } else {
        write!(
            out,
            "{} into '{}': {}, {}",
            count(summary.indexed, "document"),
            summary.collection,
            count(summary.pages, "page"),
            count(summary.chunks, "chunk")
        )?;
    }
    let further = [
        (summary.replaced, "replaced"),
        (summary.skipped, "unchanged"),
        (summary.unsupported, "of other kinds"),
        (summary.pruned, "pruned"),
        (summary.pending, "left at the service"),
        (
            summary.parked,
            match summary.interrupted {
                true => "and all that was not looked at yet left for the next run",
                false => "left for the next run",
            },
        ),
        (summary.failed.len() as u64, "failed"),
    ];
    for (number, word) in further.iter().filter(|(number, _)| *number > 0) {
        write!(out, ", {number} {word}")?;
    }
    if summary.interrupted {
        write!(out, ", interrupted")?;
    }
    writeln!(out, " ({:.1} s)", summary.seconds)?;
    pages_to_mind(summary, out)?;
    sent(summary, out)?;
    for left in &summary.pending_jobs {
        writeln!(out, "job {}  {}", left.job, short(&left.path))?;
    }
    if !summary.pending_jobs.is_empty() {
        writeln!(out, "`squall status --wait` collects them")?;
    }
    for failed in summary.failed.iter().take(MOST_FAILURES) {
        writeln!(out, "failed: {}: {}", short(&failed.path), failed.reason)?;
        if let Some(hint) = &failed.hint {
            writeln!(out, "        {hint}")?;
        }
    }
    if summary.failed.len() > MOST_FAILURES {
        let more = summary.failed.len() - MOST_FAILURES;
        writeln!(out, "and {more} more: `squall status` lists them")?;
    }
    Ok(())
}

fn pages_to_mind(summary: &Summary, out: &mut dyn Write) -> Result<()> {
    let verdicts = [
        (summary.blank_pages, "blank"),
        (summary.empty_pages, "without text (scanned, or drawn)"),
        (summary.garbled_pages, "garbled, not indexed"),
        (summary.failed_pages, "unreadable"),
    ];
    for (number, what) in verdicts.iter().filter(|(number, _)| *number > 0) {
        writeln!(out, "{} {what}", count(*number, "page"))?;
    }
    if summary.with_bad_pages > 0 && summary.parser == crate::parse::local::SERVICE {
        let documents = count(summary.with_bad_pages, "document");
        if summary.escalation.is_none() {
            writeln!(
                out,
                "{documents} might read better at the service: --parser auto --escalate sends them"
            )?;
        }
        let reasons: Vec<String> = summary.badly_read.iter().map(BadlyRead::pages).collect();
        let rows = summary.badly_read.iter().zip(&reasons);
        let rows: Vec<_> = rows
            .map(|(row, pages)| (row.path.as_str(), Some(pages.as_str())))
            .collect();
        listed("reads badly", rows.into_iter(), out)?;
    }
    listed(
        "in, but without any text to find",
        summary
            .without_text
            .iter()
            .map(|path| (path.as_str(), None)),
        out,
    )?;
    let kept = summary.not_escalated.iter();
    listed(
        "not read anew by the service",
        kept.map(|row| (row.path.as_str(), Some(row.reason.as_str()))),
        out,
    )?;
    if summary.unembedded_chunks > 0 {
        writeln!(
            out,
            "{} not in English, which is what model {} reads: found by their words \
             (`squall reembed --model multilingual -c '{}'` reads them)",
            count(summary.unembedded_chunks, "chunk"),
            summary.model.as_deref().unwrap_or_default(),
            summary.collection
        )?;
    }
    if let (Some(model), Some(why)) = (&summary.model, &summary.model_chosen) {
        writeln!(
            out,
            "made with the {model} model, as {why} (`squall reembed --model` changes it)"
        )?;
    }
    Ok(())
}

/// The first documents of a list and how many more there are.
fn listed<'a>(
    what: &str,
    rows: impl ExactSizeIterator<Item = (&'a str, Option<&'a str>)>,
    out: &mut dyn Write,
) -> Result<()> {
    let more = rows.len().saturating_sub(MOST_FAILURES);
    for (path, reason) in rows.take(MOST_FAILURES) {
        match reason {
            Some(reason) => writeln!(out, "{what}: {}: {reason}", short(path))?,
            None => writeln!(out, "{what}: {}", short(path))?,
        }
    }
    if more > 0 {
        writeln!(out, "and {more} more {what}")?;
    }
    Ok(())
}

/// Which parser was used and what left the machine.
fn sent(summary: &Summary, out: &mut dyn Write) -> Result<()> {
    let local = crate::parse::local::SERVICE;
    let service = match (&summary.escalation, summary.parser.as_str()) {
        (Some(service), _) => service,
        (None, parser) if parser == local => {
            return writeln!(out, "parser: local, nothing left this machine");
        }
        (None, service) => service,
    };
    let pages = match (summary.uploaded_pages, summary.uncounted) {
        (Some(pages), Some(uncounted @ 1..)) => format!(
            "{}, {} whose pages cannot be counted, ",
            count(pages, "page"),
            count(uncounted, "document")
        ),
        (Some(pages), _) => format!("{}, ", count(pages, "page")),
        (None, _) => String::new(),
    };
    let parser = match summary.escalation {
        Some(_) => "auto",
        None => "storm",
    };
    let would = if summary.dry_run { "would be " } else { "" };
    writeln!(
        out,
        "parser: {parser}, {} ({pages}{}) {would}sent to {service}",
        count(summary.uploaded, "document"),
        size(summary.uploaded_bytes),
    )?;
    match summary.escalated {
        0 => Ok(()),
        number => writeln!(out, "{} read by the service", count(number, "document")),
    }
}
