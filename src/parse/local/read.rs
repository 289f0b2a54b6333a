//! What happens inside the cage: a file to pages, or to their number. Runs in the child process.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::archive::{Archive, password};
use super::format::{self, Format};
use super::picture::Picture;
use super::{MAX_PAGES, MAX_TEXT, data, hangul, office, pdf, picture, plain, web};
use crate::document::{DocumentId, Parsed};
use crate::parse::ParseError;

/// Files are read whole, so there is a limit.
const MAX_BYTES: u64 = 2 << 30;

/// What the parent asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// All pages of a file; the template is for JSON.
    Parse(PathBuf, Option<String>),
    /// How many pages it has.
    Count(PathBuf),
    /// The picture of a page.
    Draw(PathBuf, u32),
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Parsed {
        /// Of the bytes that were read, which need not be those the parent has hashed.
        document_id: DocumentId,
        parsed: Box<Parsed>,
    },
    Counted {
        document_id: DocumentId,
        /// `None` where the format has no pages that can be counted here.
        pages: Option<u64>,
    },
    Drawn {
        document_id: DocumentId,
        picture: Picture,
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
        Request::Parse(file, template) => parse(file, template.as_deref()),
        Request::Count(file) => count(file),
        Request::Draw(file, page) => draw(file, *page),
    };
    answered.unwrap_or_else(|error| Answer::Refused(error.into()))
}

fn parse(file: &Path, template: Option<&str>) -> Result<Answer, ParseError> {
    let bytes = bytes(file)?;
    let document_id = id(&bytes);
    let parsed = pages(file, bytes, template)?;
    limit_pages(parsed.pages.len())?;
    let text: usize = parsed.pages.iter().map(|page| page.text.len()).sum();
    if text > MAX_TEXT {
        return Err(too_much_text());
    }
    Ok(Answer::Parsed {
        document_id,
        parsed: parsed.into(),
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
    let pages = match format::detect(&bytes, &extension(file)) {
        Format::Pdf => pdf::count(bytes),
        _ => {
            let parsed = pages(file, bytes, None).ok();
            parsed.map(|parsed| parsed.pages.len() as u64)
        }
    };
    Ok(Answer::Counted { document_id, pages })
}

fn draw(file: &Path, page: u32) -> Result<Answer, ParseError> {
    let bytes = bytes(file)?;
    let document_id = id(&bytes);
    let format = format::detect(&bytes, &extension(file));
    let picture = picture::of_page(bytes, format, page)?;
    Ok(Answer::Drawn {
        document_id,
        picture,
    })
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

fn pages(file: &Path, bytes: Vec<u8>, template: Option<&str>) -> Result<Parsed, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::document("the file is empty"));
    }
    let extension = extension(file);
    let format = format::detect(&bytes, &extension);
    let name = format::name(format, &bytes, &extension);
    let is_cut =
        bytes.starts_with(b"PK") && Archive::open(&bytes).is_ok_and(|zip| zip.is_damaged());
    let mut parsed = match format {
        // A PDF may need twice its size, so it is handed over.
        Format::Pdf => pdf::parse(bytes),
        Format::Docx => office::docx::parse(&bytes),
        Format::Pptx => office::pptx::parse(&bytes),
        Format::Sheet => office::sheet::parse(&bytes),
        Format::Ods => office::ods::parse(&bytes),
        Format::Doc => office::doc::parse(&bytes),
        Format::Ppt => office::ppt::parse(&bytes),
        Format::Rtf => office::rtf::parse(&bytes),
        Format::OpenDocument => office::odf::parse(&bytes),
        Format::Hwp => hangul::hwp::parse(&bytes),
        Format::Hwpx => hangul::hwpx::parse(&bytes),
        Format::Html => web::html::parse(&bytes),
        Format::Epub => web::epub::parse(&bytes),
        Format::Message => web::mail::message(&bytes),
        Format::Mailbox => web::mail::mailbox(&bytes),
        Format::Delimited => data::delimited::parse(&bytes),
        Format::Json => data::json::parse(&bytes, template),
        Format::JsonLines => data::json::lines(&bytes, template),
        Format::Image => picture::parse(&bytes),
        Format::Text => plain::parse(&bytes),
        Format::Locked => Err(password()),
        Format::Foreign(what) if what == format::ARCHIVE => Err(ParseError::document(
            "it is a ZIP archive; with a name in .zip, `squall ingest` takes in the files in it",
        )),
        Format::Foreign(what) => Err(ParseError::unreadable_here(
            format!("it is a {what}, which the local parser does not read"),
            "use --parser storm, or save it as PDF or in a newer format",
        )),
        Format::Unknown => Err(ParseError::unreadable_here(
            format!(
                "{} is not among what the local parser reads",
                shown(&extension)
            ),
            "use --parser storm, or convert the file to PDF or text",
        )),
    }?;
    if format::expected(&extension).is_some_and(|expected| expected != format) {
        let mut note = format!("its name ends in .{extension}, its content is {name}");
        if (extension.as_str(), format) == ("pdf", Format::Html) {
            note += ", perhaps a login or error page saved in place of the document";
        }
        parsed.details.notes.push(note);
    }
    if is_cut {
        let note = "the file is damaged; what could be read of it is in";
        parsed.details.notes.push(note.to_owned());
    }
    parsed.details.format = name;
    Ok(parsed)
}

fn shown(extension: &str) -> String {
    match extension {
        "" => "its content".to_owned(),
        extension => format!(".{extension}"),
    }
}

fn extension(file: &Path) -> String {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_without_reading_their_text() {
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/documents");
        let pages = |name: &str| match answer(&Request::Count(documents.join(name))) {
            Answer::Counted { pages, .. } => pages,
            other => panic!("{other:?}"),
        };
        assert_eq!(pages("harbour-committee-minutes.pdf"), Some(4));
        assert_eq!(pages("onboarding.md"), Some(1));
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile/binary.txt");
        assert!(matches!(
            answer(&Request::Count(binary)),
            Answer::Counted { pages: None, .. }
        ));
    }
}
