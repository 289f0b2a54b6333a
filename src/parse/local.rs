//! The built-in parser, on this machine only: PDF, office documents, Hangul, the web, mail, data and text.
//! Files are read in child processes with limits ([`cage`]), so that a hostile one hurts nothing but
//! itself. [`format`] tells what a file is, [`read`] hands it to the module for its kind.

mod archive;
mod cage;
mod data;
mod flow;
mod format;
mod grid;
mod hangul;
mod layout;
mod numbering;
mod ocr;
mod office;
mod pdf;
mod picture;
mod plain;
mod read;
mod verdict;
mod web;
pub mod worker;
mod xml;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Semaphore;

pub use cage::Limits;
pub use ocr::{Engine, HOW};

use self::cage::Cage;
use self::ocr::Reading;
use self::read::{Answer, Request};
use self::verdict::is_legible;
use super::{Outcome, ParseError, Parser, Step, Work};
use crate::document::{DocumentId, Page, Parsed, Source, Verdict};

/// The name of this parser in jobs and documents.
pub const SERVICE: &str = "local";
/// Raise the number when the same file would give other text.
const VERSION: &str = "local-3";
/// Follows the version where pictures are read, too.
const WITH_OCR: &str = "+ocr";
/// Most text of one document, in bytes: ten times the longest books, and still embedded in an hour.
const MAX_TEXT: usize = 50 << 20;
/// Books have thousands of pages, bombs have millions.
const MAX_PAGES: usize = 100_000;

/// Parses on this machine.
pub struct LocalParser {
    cage: Cage,
    engine: Option<Engine>,
    /// What an object of a JSON file becomes.
    template: Option<String>,
    version: String,
    /// Pages the engine reads at once, over all documents.
    turns: Semaphore,
    /// Whether the user knows that pictures want an engine.
    told: AtomicBool,
}

impl LocalParser {
    /// A parser that gives up on a file that passes one of `limits`, and reads pictures where there is an
    /// engine.
    pub fn new(limits: Limits, engine: Option<Engine>, template: Option<String>) -> Self {
        let mut version = VERSION.to_owned();
        if engine.is_some() {
            version += WITH_OCR;
        }
        if let Some(template) = &template {
            let hash = blake3::hash(template.as_bytes()).to_hex();
            version += &format!("+json-{}", &hash[..8]);
        }
        Self {
            cage: Cage::new(limits),
            engine,
            template,
            version,
            turns: Semaphore::new(cores()),
            told: AtomicBool::new(false),
        }
    }

    /// Says nothing of pictures that are not read: the user wants it so.
    pub fn without_advice(mut self) -> Self {
        self.told = AtomicBool::new(true);
        self
    }

    /// Reads one file, for no store.
    ///
    /// # Errors
    /// As [`Parser::parse`].
    pub async fn read(&self, file: &Path) -> Result<(DocumentId, Parsed), ParseError> {
        let request = Request::Parse(file.to_owned(), self.template.clone());
        match self.cage.ask(&request).await? {
            Answer::Parsed {
                document_id,
                mut parsed,
            } => {
                self.recognise(file, &document_id, &mut parsed, &|_, _| ())
                    .await?;
                Ok((document_id, *parsed))
            }
            Answer::Refused(refusal) => Err(refusal.into()),
            Answer::Counted { .. } | Answer::Drawn { .. } => Err(unasked()),
        }
    }

    /// Ends the processes that wait for more to read.
    pub async fn close(&self) {
        self.cage.close().await;
    }

    async fn pages(&self, work: Work<'_>) -> Result<Outcome, ParseError> {
        (work.report)(Step::Parsing);
        let reading = async {
            let request = Request::Parse(work.source.file.clone(), self.template.clone());
            let answer = self.cage.ask(&request).await?;
            match answer {
                Answer::Parsed { document_id, .. } if document_id != *work.document_id => {
                    Err(changed())
                }
                Answer::Parsed { mut parsed, .. } => {
                    let report = |pages, of| (work.report)(Step::Recognising { pages, of });
                    let (file, id) = (&work.source.file, work.document_id);
                    self.recognise(file, id, &mut parsed, &report).await?;
                    Ok(Outcome::Pages(parsed))
                }
                Answer::Refused(refusal) => Err(refusal.into()),
                Answer::Counted { .. } | Answer::Drawn { .. } => Err(unasked()),
            }
        };
        tokio::select! {
            outcome = reading => outcome,
            () = work.stop.cancelled() => Err(ParseError::Interrupted),
        }
    }

    /// Has the engine read what is on pages without text. `report` is told how many of how many it has.
    async fn recognise(
        &self,
        file: &Path,
        document_id: &DocumentId,
        parsed: &mut Parsed,
        report: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(), ParseError> {
        let has_picture = matches!(parsed.details.format.as_str(), "pdf" | "image");
        let is_unread = |page: &&Page| matches!(page.verdict, Verdict::Empty | Verdict::Garbled);
        let unread: Vec<u32> = parsed
            .pages
            .iter()
            .filter(is_unread)
            .map(|page| page.number)
            .collect();
        if unread.is_empty() || !has_picture {
            return Ok(());
        }
        let Some(engine) = &self.engine else {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!("some pages are pictures without text; {HOW}");
            }
            return Ok(());
        };
        report(0, unread.len());
        let of = unread.len();
        let mut reading = FuturesUnordered::new();
        for number in unread {
            let page = self.recognise_page(engine, file, document_id, number);
            reading.push(page.map(move |reading| (number, reading)).boxed());
        }
        let mut done = 0;
        while let Some((number, reading)) = reading.next().await {
            done += 1;
            report(done, of);
            let page = parsed.pages.iter_mut().find(|page| page.number == number);
            let Some(page) = page else { continue };
            match reading {
                Ok(reading) if is_legible(&reading.text) => {
                    page.text = reading.text;
                    page.verdict = Verdict::Ok;
                    parsed
                        .details
                        .ocr
                        .insert(number, (reading.confidence * 1000.0).round() / 1000.0);
                }
                Ok(_) => {}
                Err(error) => {
                    let note = format!("page {number} was not read by OCR: {error}");
                    parsed.details.notes.push(note);
                }
            }
        }
        parsed.details.notes.sort();
        Ok(())
    }

    async fn recognise_page(
        &self,
        engine: &Engine,
        file: &Path,
        document_id: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Reading> {
        let _turn = self.turns.acquire().await?;
        let answer = self
            .cage
            .ask(&Request::Draw(file.to_owned(), number))
            .await?;
        match answer {
            Answer::Drawn {
                document_id: drawn,
                picture,
            } if drawn == *document_id => engine.read(&picture).await,
            Answer::Drawn { .. } => Err(changed().into()),
            Answer::Refused(refusal) => Err(ParseError::from(refusal).into()),
            Answer::Parsed { .. } | Answer::Counted { .. } => Err(unasked().into()),
        }
    }

    async fn count(&self, source: &Source, document_id: &DocumentId) -> Option<u64> {
        let request = Request::Count(source.file.clone());
        match self.cage.ask(&request).await {
            Ok(Answer::Counted {
                document_id: read,
                pages,
            }) if read == *document_id => pages,
            _ => None,
        }
    }
}

impl Parser for LocalParser {
    fn service(&self) -> &str {
        SERVICE
    }

    fn version(&self) -> &str {
        &self.version
    }

    /// What an earlier version, or one without an engine, left unread.
    fn reads_more_than(&self, version: &str) -> bool {
        version != self.version && !version.contains(WITH_OCR) && self.engine.is_some()
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn extensions(&self) -> &'static [&'static str] {
        static NAMES: [&str; format::EXTENSIONS.len()] = format::extensions();
        &NAMES
    }

    fn default_concurrency(&self) -> usize {
        cores()
    }

    fn parse<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Result<Outcome, ParseError>> {
        self.pages(work).boxed()
    }

    fn count_pages<'a>(
        &'a self,
        source: &'a Source,
        document_id: &'a DocumentId,
    ) -> BoxFuture<'a, Option<u64>> {
        self.count(source, document_id).boxed()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn unasked() -> ParseError {
    anyhow::anyhow!("the parser answered a question nobody asked").into()
}

/// The bytes that were read are not those whose hash names the document.
fn changed() -> ParseError {
    ParseError::with_hint(
        "the file changed while it was read",
        "run the same command again when it is complete",
    )
}
