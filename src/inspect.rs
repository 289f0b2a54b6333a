//! The report on one document: what the file says of itself, what is in it, how well its pages were read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use utoipa::ToSchema;

use crate::document::{Details, DocumentId, Parsed};
use crate::extract::{self, Extract, Found};
use crate::text::count;

/// Findings of a kind that the text of a report lists; JSON has all.
const LISTED: usize = 30;

/// All that is known of a document.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Inspection {
    /// Path or name.
    pub document: String,
    pub document_id: DocumentId,
    /// Who read it, such as `local-3`.
    pub parser: String,
    pub title: Option<String>,
    #[serde(flatten)]
    pub details: Details,
    pub page_count: u64,
    pub characters: u64,
    pub words: u64,
    /// Pages by verdict.
    pub verdicts: BTreeMap<&'static str, u64>,
    pub pages: Vec<PageReport>,
    #[serde(flatten)]
    pub extract: Extract,
}

/// How one page was read.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PageReport {
    pub number: u32,
    /// `ok`, `blank`, `empty`, `garbled` or `failed`.
    pub verdict: &'static str,
    pub characters: u64,
    /// How sure the OCR engine is of its words, 0 to 1, where it read the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocr_confidence: Option<f32>,
    /// Where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Looks through `parsed`; the pages' own text comes with it on demand.
pub fn inspect(
    document: &str,
    id: &DocumentId,
    parser: &str,
    parsed: &Parsed,
    texts: bool,
) -> Inspection {
    let pages = pages(parsed, texts);
    let mut verdicts = BTreeMap::new();
    for page in &pages {
        *verdicts.entry(page.verdict).or_default() += 1;
    }
    let words = parsed
        .pages
        .iter()
        .map(|page| page.text.split_whitespace().count() as u64);
    Inspection {
        document: document.to_owned(),
        document_id: id.clone(),
        parser: parser.to_owned(),
        title: parsed.title.clone(),
        details: parsed.details.clone(),
        page_count: pages.len() as u64,
        characters: pages.iter().map(|page| page.characters).sum(),
        words: words.sum(),
        verdicts,
        pages,
        extract: extract::extract(parsed),
    }
}

/// How each page was read.
pub fn pages(parsed: &Parsed, texts: bool) -> Vec<PageReport> {
    let pages = parsed.pages.iter().map(|page| PageReport {
        number: page.number,
        verdict: page.verdict.as_str(),
        characters: page.text.chars().count() as u64,
        ocr_confidence: parsed.details.ocr.get(&page.number).copied(),
        text: texts.then(|| page.text.clone()),
    });
    pages.collect()
}

/// The report as Markdown.
pub fn markdown(of: &Inspection) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(of, &mut out);
    out
}

fn write_all(of: &Inspection, out: &mut String) -> std::fmt::Result {
    let (details, found) = (&of.details, &of.extract);
    writeln!(out, "# {}\n", of.title.as_ref().unwrap_or(&of.document))?;
    let scripts: Vec<String> = found
        .scripts
        .iter()
        .map(|(name, share)| format!("{name} {:.1} %", share * 100.0))
        .collect();
    let facts = [
        ("Document", Some(of.document.clone())),
        ("Id", Some(of.document_id.to_string())),
        (
            "Format",
            Some(details.format.clone()).filter(|format| !format.is_empty()),
        ),
        ("Author", details.author.clone()),
        ("Subject", details.subject.clone()),
        ("Keywords", details.keywords.clone()),
        ("Created", details.created.clone()),
        ("Modified", details.modified.clone()),
        ("Written by", details.producer.clone()),
        ("Language", found.language.clone()),
        (
            "Scripts",
            Some(scripts.join(", ")).filter(|text| !text.is_empty()),
        ),
        (
            "Attachments",
            Some(details.attachments.join(", ")).filter(|text| !text.is_empty()),
        ),
        ("Read by", Some(of.parser.clone())),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            writeln!(out, "- {name}: {value}")?;
        }
    }
    let verdicts: Vec<String> = of
        .verdicts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    writeln!(
        out,
        "- Pages: {} ({}), {}, {}",
        of.page_count,
        verdicts.join(", "),
        count(of.words, "word"),
        count(of.characters, "character")
    )?;
    for note in &details.notes {
        writeln!(out, "- Note: {note}")?;
    }
    if !found.summary.is_empty() {
        writeln!(out, "\n## Summary\n")?;
        for sentence in &found.summary {
            writeln!(out, "- {} (p. {})", sentence.text, sentence.page)?;
        }
    }
    if !found.key_phrases.is_empty() {
        writeln!(out, "\n## Key phrases\n")?;
        for phrase in &found.key_phrases {
            writeln!(
                out,
                "- {} ({}, from p. {})",
                phrase.text,
                count(phrase.count as u64, "time"),
                phrase.page
            )?;
        }
    }
    if !found.outline.is_empty() {
        writeln!(out, "\n## Outline\n")?;
        for item in &found.outline {
            let indent = "  ".repeat(usize::from(item.level.saturating_sub(1)));
            let page = item
                .page
                .map_or_else(String::new, |page| format!(" (p. {page})"));
            writeln!(out, "{indent}- {}{page}", item.title)?;
        }
    }
    let full = |kind| found.truncated.contains(&kind);
    let dates = found.dates.iter().map(|date| {
        (
            format!("{} = {}", date.found.text, date.value),
            date.found.page,
        )
    });
    list(out, "Dates", full("dates"), dates.collect())?;
    let amounts = found.amounts.iter().map(|amount| {
        (
            format!("{} = {} {}", amount.found.text, amount.value, amount.unit),
            amount.found.page,
        )
    });
    list(out, "Amounts", full("amounts"), amounts.collect())?;
    let plain = |found: &[Found]| {
        found
            .iter()
            .map(|found| (found.text.clone(), found.page))
            .collect()
    };
    list(out, "Email addresses", full("emails"), plain(&found.emails))?;
    list(out, "Phone numbers", full("phones"), plain(&found.phones))?;
    list(out, "Codes", full("ids"), plain(&found.ids))?;
    if !found.tables.is_empty() {
        writeln!(out, "\n## Tables\n")?;
        for (number, table) in (1..).zip(&found.tables) {
            let widest = table.rows.iter().map(Vec::len).max().unwrap_or(0);
            let head = table
                .rows
                .first()
                .map(|row| row.join(", "))
                .unwrap_or_default();
            let rows = count(table.rows.len() as u64, "row");
            writeln!(
                out,
                "{number}. p. {}, {rows} of {widest}: {head}",
                table.page
            )?;
        }
    }
    let bad: Vec<&PageReport> = of
        .pages
        .iter()
        .filter(|page| !matches!(page.verdict, "ok" | "blank"))
        .collect();
    let unsure = of
        .pages
        .iter()
        .filter_map(|page| Some((page, page.ocr_confidence?)));
    let mut lines: Vec<(u32, String)> = bad
        .iter()
        .map(|page| (page.number, page.verdict.to_owned()))
        .collect();
    lines.extend(unsure.map(|(page, sure)| {
        (
            page.number,
            format!("read by OCR, {:.0} % sure", sure * 100.0),
        )
    }));
    lines.sort();
    if !lines.is_empty() {
        writeln!(out, "\n## Pages\n")?;
        for (number, text) in lines {
            writeln!(out, "- p. {number}: {text}")?;
        }
    }
    Ok(())
}

fn list(out: &mut String, title: &str, full: bool, items: Vec<(String, u32)>) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n")?;
    let more = items.len().saturating_sub(LISTED);
    for (text, page) in items.into_iter().take(LISTED) {
        writeln!(out, "- {text} (p. {page})")?;
    }
    if more > 0 {
        let least = if full { "at least " } else { "" };
        writeln!(out, "- and {least}{more} more")?;
    }
    Ok(())
}
