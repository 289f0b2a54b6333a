//! `squall inspect FILE|ID`: what is in one document.

use std::path::Path;

use super::{block_on, stored_path};
use crate::app;
use crate::cli;
use crate::document::{DocumentId, Parsed};
use crate::error::{Error, Exit};
use crate::inspect::inspect;
use crate::present::{Printer, Report};
use crate::settings::Settings;
use crate::store::Store as _;

/// Shortest beginning of an id that names a document.
const SHORT_ID: usize = 8;

pub fn run(args: cli::Inspect, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let (name, id, parser, mut parsed) = match Path::new(&args.document).is_file() {
        true => read(&args.document, settings)?,
        false => look_up(&args.document, settings)?,
    };
    // As ingest stores them, so that what is found stands where it is said to.
    for page in &mut parsed.pages {
        page.text = crate::chunk::normalise(&page.text);
    }
    if args.pages && !printer.is_json() {
        return pages(&parsed, printer);
    }
    let inspection = inspect(&name, &id, &parser, &parsed, args.pages);
    if let Some(number) = args.table {
        let tables = &inspection.extract.tables;
        let table = tables.get(number.get() - 1).ok_or_else(|| {
            let have = crate::text::count(tables.len() as u64, "table");
            Error::NotFound(format!("{name} has no table {number}; it has {have}"))
        })?;
        match printer.is_json() {
            true => printer.print(&Report::Table(table.clone()))?,
            false => printer.bytes(table.csv()?.as_bytes())?,
        }
        return Ok(Exit::Done);
    }
    printer.print(&Report::Inspection(Box::new(inspection)))?;
    Ok(Exit::Done)
}

type Read = (String, DocumentId, String, Parsed);

/// A file, by the built-in parser.
fn read(path: &str, settings: &Settings) -> anyhow::Result<Read> {
    let parser = app::local(settings);
    let file = std::path::absolute(path)?;
    let (id, parsed) = block_on(async {
        let read = parser.read(&file).await;
        parser.close().await;
        read.map_err(|error| said(path, error))
    })?;
    let version = crate::parse::Parser::version(&parser).to_owned();
    Ok((stored_path(path)?, id, version, parsed))
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
fn pages(parsed: &Parsed, printer: &Printer) -> anyhow::Result<Exit> {
    let texts: Vec<&str> = parsed.pages.iter().map(|page| page.text.as_str()).collect();
    printer.bytes(format!("{}\n", texts.join("\n\u{C}")).as_bytes())?;
    Ok(Exit::Done)
}
