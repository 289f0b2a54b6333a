//! `squall inspect FILE|ID`: what is in one document.

use std::path::Path;

use super::{block_on, stored_path};
use crate::app;
use crate::cli;
use crate::document::{DocumentId, Parsed};
use crate::error::{Error, Exit, exit_of};
use crate::inspect::inspect;
use crate::parse::Parser as _;
use crate::parse::local::LocalParser;
use crate::present::{Printer, Report, complain};
use crate::settings::Settings;
use crate::store::Store as _;

/// Shortest beginning of an id that names a document.
const SHORT_ID: usize = 8;

pub fn run(args: cli::Inspect, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    if args.table.is_some() && args.documents.len() > 1 {
        return Err(crate::usage!("--table takes one document").into());
    }
    block_on(async {
        let parser = app::local(settings);
        let done = all(&args, &parser, settings, printer).await;
        parser.close().await;
        done
    })
}

/// One document after the other. Of several, one that cannot be read is reported and passed over.
async fn all(
    args: &cli::Inspect,
    parser: &LocalParser,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for (at, document) in args.documents.iter().enumerate() {
        let path = Path::new(document);
        let read = match path.is_file() {
            true => read(document, parser).await,
            false if path.is_dir() => {
                Err(crate::usage!("{document} is a folder; inspect takes files").into())
            }
            false if path.exists() => Err(crate::usage!(
                "{document} is a pipe or a device; save what comes from it to a file"
            )
            .into()),
            false => look_up(document, settings),
        };
        match read {
            Ok(read) => show(read, args, at, printer)?,
            Err(error) if args.documents.len() == 1 => return Err(error),
            Err(error) => {
                complain(&error);
                if exit == Exit::Done {
                    exit = exit_of(&error);
                }
            }
        }
    }
    Ok(exit)
}

/// Prints what was asked for about the document at place `at` of the command line.
fn show(read: Read, args: &cli::Inspect, at: usize, printer: &Printer) -> anyhow::Result<()> {
    let (name, id, parser, mut parsed) = read;
    // As ingest stores them, so that what is found stands where it is said to.
    for page in &mut parsed.pages {
        page.text = crate::chunk::normalise(&page.text);
    }
    if parsed.pages.iter().all(|page| page.text.trim().is_empty()) {
        parsed
            .details
            .notes
            .push("no text was found in it".to_owned());
    }
    if at > 0 && !printer.is_json() {
        printer.bytes(if args.pages { b"\x0C" } else { b"\n" })?;
    }
    if args.pages && !printer.is_json() {
        for note in &parsed.details.notes {
            tracing::warn!("{name}: {note}");
        }
        return pages(&parsed, printer);
    }
    let inspection = inspect(&name, &id, &parser, &parsed, args.pages);
    let Some(number) = args.table else {
        return printer.print(&Report::Inspection(Box::new(inspection)));
    };
    let tables = &inspection.extract.tables;
    let table = tables.get(number.get() - 1).ok_or_else(|| {
        let have = crate::text::count(tables.len() as u64, "table");
        Error::NotFound(format!("{name} has no table {number}; it has {have}"))
    })?;
    match printer.is_json() {
        true => printer.print(&Report::Table(table.clone())),
        false => printer.bytes(table.csv()?.as_bytes()),
    }
}

type Read = (String, DocumentId, String, Parsed);

/// A file, by the built-in parser.
async fn read(path: &str, parser: &LocalParser) -> anyhow::Result<Read> {
    // The process that reads it has another standard input.
    let file = std::fs::canonicalize(path)?;
    let read = parser.read(&file).await;
    let (id, parsed) = read.map_err(|error| said(path, error))?;
    Ok((stored_path(path)?, id, parser.version().to_owned(), parsed))
}

fn said(path: &str, error: crate::parse::ParseError) -> anyhow::Error {
    use crate::parse::ParseError;
    match error {
        ParseError::Document {
            reason,
            hint: Some(hint),
            ..
        } => Error::Document(format!("{path}: {reason}; {hint}")).into(),
        ParseError::Store(error) => error,
        other => Error::Document(format!("{path}: {other}")).into(),
    }
}

/// A document of the collection, by its path or the beginning of its id.
fn look_up(text: &str, settings: &Settings) -> anyhow::Result<Read> {
    let nothing = || Error::NotFound(format!("no file and no document is called {text}"));
    let collection = &settings.collection;
    app::must_exist(settings).map_err(|_| nothing())?;
    let store = app::store_to_read(settings)?;
    let path = stored_path(text)?;
    let is_id = text.len() >= SHORT_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let rows = store.documents(collection, "")?;
    let row = rows
        .into_iter()
        .find(|row| row.paths.contains(&path) || (is_id && row.document_id.0.starts_with(text)))
        .ok_or_else(nothing)?;
    let entry = store.entry(collection, &row.document_id)?.ok_or_else(|| {
        Error::Damaged(format!(
            "the pages of {text} are damaged; type `squall repair`"
        ))
    })?;
    let name = row.paths.first().cloned().unwrap_or_default();
    Ok((name, row.document_id, entry.parser, entry.parsed))
}

/// The pages as text, a form feed between them, as page tools write them.
fn pages(parsed: &Parsed, printer: &Printer) -> anyhow::Result<()> {
    let texts: Vec<&str> = parsed.pages.iter().map(|page| page.text.as_str()).collect();
    printer.bytes(format!("{}\n", texts.join("\n\u{C}")).as_bytes())
}
