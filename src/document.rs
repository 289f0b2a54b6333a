//! The words the whole pipeline speaks: sources, pages, chunks, hits, answers. No I/O here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Version of every JSON object Squall prints.
pub const SCHEMA: u32 = 1;

/// `--tag key=value` pairs of a document.
pub type Tags = BTreeMap<String, String>;

/// A file that may become a document: where its bytes are and what to call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Absolute path in NFC, the name under which the document is cited.
    pub path: String,
    /// The same file as the file system spells it (macOS may say NFD).
    pub file: PathBuf,
    /// The folder or file the user named that led here; `--prune` works below it.
    pub root: String,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, 0 if unknown.
    pub modified: i64,
}

/// BLAKE3 of a document's bytes in lower-case hex: its identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct DocumentId(pub String);

impl DocumentId {
    /// Hashes everything `reader` yields.
    pub fn of(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut reader, &mut hasher)?;
        Ok(Self(hasher.finalize().to_hex().to_string()))
    }
}

impl std::fmt::Display for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a parser thinks of one page's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Text was found and reads as text.
    Ok,
    /// Nothing is on the page, as far as the parser can see.
    Blank,
    /// No text, though something is on the page: an image or drawing that needs OCR.
    Empty,
    /// Text was found but mostly does not map to Unicode.
    Garbled,
    /// The page could not be read.
    Failed,
}

impl Verdict {
    /// The stored and printed spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Blank => "blank",
            Verdict::Empty => "empty",
            Verdict::Garbled => "garbled",
            Verdict::Failed => "failed",
        }
    }

    /// The verdict spelled `text`; what is not known counts as failed.
    pub fn parse(text: &str) -> Self {
        let all = [
            Verdict::Ok,
            Verdict::Blank,
            Verdict::Empty,
            Verdict::Garbled,
        ];
        let known = all.into_iter().find(|verdict| verdict.as_str() == text);
        known.unwrap_or(Verdict::Failed)
    }

    /// Whether another parser might find text where this one found none, or none that reads.
    pub fn is_bad(self) -> bool {
        matches!(self, Verdict::Empty | Verdict::Garbled | Verdict::Failed)
    }
}

/// One physical page of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// From 1, the PDF's physical order.
    pub number: u32,
    /// The text citations are checked against.
    pub text: String,
    pub verdict: Verdict,
}

/// What a parser made of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// In ascending order of `number`.
    pub pages: Vec<Page>,
    pub title: Option<String>,
    #[serde(default)]
    pub details: Details,
}

/// What a file says of itself beside its text, and what its parser noticed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Details {
    /// What the file is by its content, such as `pdf` or `hwp`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keywords: Option<String>,
    /// RFC 3339, as far as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The program that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
    /// The table of contents the file carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<OutlineItem>,
    /// Names of files inside it, whose text is not among the pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
    /// How sure the OCR engine is of the words of a page, 0 to 1, by page number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ocr: BTreeMap<u32, f32>,
    /// What the user should know, such as a file name that ends in the wrong way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Details {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self == &Details::default()
    }
}

/// An entry of a document's own table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutlineItem {
    /// 1 is the highest.
    pub level: u8,
    pub title: String,
    /// Where it leads, if the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// A piece of one page, small enough to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub page: u32,
    /// Range in the stored page text, in characters (Unicode scalar values), end exclusive.
    pub start: usize,
    pub end: usize,
    pub text: String,
}

/// A chunk that retrieval brought back.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Hit {
    /// `document_id:page:start-end`, stable as long as the document and the chunker are.
    pub id: String,
    pub document_id: DocumentId,
    pub document: String,
    /// What the document calls itself.
    #[serde(skip)]
    pub title: Option<String>,
    pub page_number: u32,
    /// Character range in the stored page text.
    pub start: usize,
    pub end: usize,
    pub text: String,
    /// Fused score, 0 to 1 within one answer.
    pub score: f32,
    /// Cosine to the question, when the semantic arm saw this chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosine: Option<f32>,
}

/// A sentence quoted verbatim, with the place it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Citation {
    pub document: String,
    pub document_id: DocumentId,
    pub page_number: u32,
    /// Character range in the stored page text.
    pub start: usize,
    pub end: usize,
    pub quote: String,
    /// The head of the table the quote is a row of, or the line that introduces its list, as the
    /// page has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The number, date or name in the quote that the question asks for, where just one stands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// A piece of a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Span {
    pub text: String,
    /// Character range in the stored page text.
    pub start: usize,
    pub end: usize,
}

/// The reply to one question.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    pub query: String,
    pub answered: bool,
    /// How likely the citations answer the question, 0 to 1, as calibrated on open data.
    pub confidence: f32,
    pub generated_answer: String,
    pub citations: Vec<Citation>,
    pub retrieved_context: Vec<Hit>,
    /// Milliseconds by stage.
    pub timings_ms: BTreeMap<&'static str, f64>,
}

impl Answer {
    /// What is said of `question` where there is nothing to look at.
    pub fn none(question: &str) -> Self {
        Self {
            query: question.to_owned(),
            answered: false,
            confidence: 0.0,
            generated_answer: String::new(),
            citations: Vec::new(),
            retrieved_context: Vec::new(),
            timings_ms: BTreeMap::new(),
        }
    }
}

/// Which documents and pages a question may look at; an empty filter lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only documents whose path starts with one of these (NFC); empty lets all through.
    pub path_prefixes: Vec<String>,
    /// Only documents carrying all of these tags.
    pub tags: Tags,
    /// Only documents with a file last changed from the first moment until before the second, in
    /// nanoseconds since 1970.
    pub modified: Option<(i64, i64)>,
    /// Only pages in this inclusive range.
    pub pages: Option<(u32, u32)>,
}

impl Filter {
    /// Whether every chunk passes.
    pub fn is_empty(&self) -> bool {
        self == &Filter::default()
    }
}
