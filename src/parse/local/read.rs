//! What happens inside the cage: a file to pages, or to their number. Runs in the child process.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EXTENSIONS, MAX_PAGES, MAX_TEXT, pdf, plain};
use crate::document::{DocumentId, Parsed};
use crate::parse::ParseError;

/// Files are read whole, so there is a limit.
const MAX_BYTES: u64 = 2 << 30;

/// What the parent asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// All pages of a file.
    Parse(PathBuf),
    /// How many pages it has.
    Count(PathBuf),
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Parsed {
        /// Of the bytes that were read, which need not be those the parent has hashed.
        document_id: DocumentId,
        parsed: Parsed,
    },
    Counted {
        document_id: DocumentId,
        /// `None` where the format has no pages that can be counted here.
        pages: Option<u64>,
    },
    Refused(Refusal),
}

/// A [`ParseError::Document`] that can cross a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    reason: String,
    hint: Option<String>,
    elsewhere: bool,
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Document {
                reason,
                hint,
                elsewhere,
            } => Self {
                reason,
                hint,
                elsewhere,
            },
            other => Self {
                reason: other.to_string(),
                hint: None,
                elsewhere: false,
            },
        }
    }
}

impl From<Refusal> for ParseError {
    fn from(
        Refusal {
            reason,
            hint,
            elsewhere,
        }: Refusal,
    ) -> Self {
        ParseError::Document {
            reason,
            hint,
            elsewhere,
        }
    }
}

/// Answers `request`.
pub fn answer(request: &Request) -> Answer {
    let answered = match request {
        Request::Parse(file) => parse(file),
        Request::Count(file) => count(file),
    };
    answered.unwrap_or_else(|error| Answer::Refused(error.into()))
}

fn parse(file: &Path) -> Result<Answer, ParseError> {
    let bytes = bytes(file)?;
    let document_id = id(&bytes);
    let parsed = pages(file, bytes)?;
    limit_pages(parsed.pages.len())?;
    let text: usize = parsed.pages.iter().map(|page| page.text.len()).sum();
    if text > MAX_TEXT {
        return Err(too_much_text());
    }
    Ok(Answer::Parsed {
        document_id,
        parsed,
    })
}

/// Refuses a document beyond [`MAX_PAGES`].
pub fn limit_pages(pages: usize) -> Result<(), ParseError> {
    if pages <= MAX_PAGES {
        return Ok(());
    }
    Err(ParseError::unreadable_here(
        format!("has {pages} pages, the limit is {MAX_PAGES}"),
        "split it",
    ))
}

/// The error for a document beyond [`MAX_TEXT`].
pub fn too_much_text() -> ParseError {
    ParseError::unreadable_here(
        format!("holds more than {} MB of text", MAX_TEXT >> 20),
        "split it",
    )
}

fn count(file: &Path) -> Result<Answer, ParseError> {
    let bytes = bytes(file)?;
    let document_id = id(&bytes);
    let pages = match extension(file).as_str() {
        _ if pdf::is_pdf(&bytes) => pdf::count(bytes),
        "png" | "jpg" | "jpeg" => Some(1),
        "txt" | "text" | "md" | "markdown" | "log" => plain::parse(&bytes)
            .ok()
            .map(|parsed| parsed.pages.len() as u64),
        _ => None,
    };
    Ok(Answer::Counted { document_id, pages })
}

fn bytes(file: &Path) -> Result<Vec<u8>, ParseError> {
    let unreadable =
        |error: std::io::Error| ParseError::document(format!("cannot be read: {error}"));
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(ParseError::unreadable_here(
            format!(
                "is {} MB, the local parser takes files up to {} MB",
                size >> 20,
                MAX_BYTES >> 20
            ),
            "split it",
        ));
    }
    std::fs::read(file).map_err(unreadable)
}

fn id(bytes: &[u8]) -> DocumentId {
    DocumentId(blake3::hash(bytes).to_hex().to_string())
}

fn pages(file: &Path, bytes: Vec<u8>) -> Result<Parsed, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::document("the file is empty"));
    }
    if pdf::is_pdf(&bytes) {
        return pdf::parse(bytes);
    }
    match extension(file).as_str() {
        "pdf" => Err(not_a_pdf(&bytes)),
        "" => plain::parse(&bytes),
        extension if EXTENSIONS.contains(&extension) => plain::parse(&bytes),
        other => Err(ParseError::unreadable_here(
            format!(".{other} files are not among those the local parser reads"),
            "use --parser storm, or convert the file to PDF or text",
        )),
    }
}

fn extension(file: &Path) -> String {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default().to_lowercase()
}

fn not_a_pdf(bytes: &[u8]) -> ParseError {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_lowercase();
    let looks = if head.contains("<html") || head.contains("<!doctype") {
        "it is an HTML page, perhaps a login or error page saved in place of the document"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "it is a ZIP archive or an Office file"
    } else {
        "it has no PDF header"
    };
    ParseError::with_hint(format!("not a PDF: {looks}"), "download or export it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_what_a_file_is() {
        assert!(not_a_pdf(b"<!DOCTYPE html>").to_string().contains("HTML"));
        assert!(not_a_pdf(b"PK\x03\x04").to_string().contains("ZIP"));
    }

    #[test]
    fn pages_are_counted_without_reading_their_text() {
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/documents");
        let pages = |name: &str| match answer(&Request::Count(documents.join(name))) {
            Answer::Counted { pages, .. } => pages,
            other => panic!("{other:?}"),
        };
        assert_eq!(pages("harbour-committee-minutes.pdf"), Some(4));
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(
            answer(&Request::Count(readme)),
            Answer::Counted { pages: None, .. }
        ));
    }
}
