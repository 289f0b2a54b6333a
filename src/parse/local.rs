//! The built-in parser: PDF, plain text and Markdown, on this machine only. Files are read in child
//! processes with limits ([`cage`]), so that a hostile one hurts nothing but itself.

mod cage;
mod layout;
mod pdf;
mod plain;
mod read;
mod verdict;
pub mod worker;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use cage::Limits;

use self::cage::Cage;
use self::read::{Answer, Request};
use super::{Outcome, ParseError, Parser, Step, Work};
use crate::document::{DocumentId, Source};

/// The name of this parser in jobs and documents.
pub const SERVICE: &str = "local";
/// Raise the number when the same file would give other text.
const VERSION: &str = "local-2";
/// Most text of one document, in bytes: ten times the longest books, and still embedded in an hour.
const MAX_TEXT: usize = 50 << 20;
/// Books have thousands of pages, bombs have millions.
const MAX_PAGES: usize = 100_000;
const EXTENSIONS: [&str; 6] = ["pdf", "txt", "text", "md", "markdown", "log"];

/// Parses on this machine.
pub struct LocalParser {
    cage: Cage,
}

impl LocalParser {
    /// A parser that gives up on a file that passes one of `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            cage: Cage::new(limits),
        }
    }

    async fn pages(&self, work: Work<'_>) -> Result<Outcome, ParseError> {
        (work.report)(Step::Parsing);
        let request = Request::Parse(work.source.file.clone());
        let answer = tokio::select! {
            answer = self.cage.ask(&request) => answer?,
            () = work.stop.cancelled() => return Err(ParseError::Interrupted),
        };
        match answer {
            Answer::Parsed { document_id, .. } if document_id != *work.document_id => {
                Err(changed())
            }
            Answer::Parsed { parsed, .. } => Ok(Outcome::Pages(parsed)),
            Answer::Counted { .. } => {
                Err(anyhow::anyhow!("the parser answered a question nobody asked").into())
            }
            Answer::Refused(refusal) => Err(refusal.into()),
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
        VERSION
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn extensions(&self) -> &'static [&'static str] {
        &EXTENSIONS
    }

    fn default_concurrency(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from)
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

/// The bytes that were read are not those whose hash names the document.
fn changed() -> ParseError {
    ParseError::with_hint(
        "the file changed while it was read",
        "run the same command again when it is complete",
    )
}
