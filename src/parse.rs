//! Files to numbered pages. One trait, two parsers: [`local`] (built in) and [`storm`] (remote).

pub mod local;
pub mod storm;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::document::{DocumentId, Parsed, Source};
use crate::ledger::{Job, Ledger};

/// Turns a file into pages.
pub trait Parser: Send + Sync {
    /// Who does the work: `local`, or the service's base URL. Part of a job's identity.
    fn service(&self) -> &str;
    /// Name and version stored with each document, such as `local-1`.
    fn version(&self) -> &str;
    /// Whether documents leave this machine.
    fn is_remote(&self) -> bool;
    /// File name extensions taken, in lower case.
    fn extensions(&self) -> &'static [&'static str];
    /// Documents to parse at once when the user does not say.
    fn default_concurrency(&self) -> usize;
    /// Whether it would read pages better than the version of it with this name did.
    fn reads_more_than(&self, _version: &str) -> bool {
        false
    }
    /// Called when a run begins: what an earlier one gave up on may work by now.
    fn begin(&self) {}
    /// Whether [`Parser::parse`] would send the document away, given the row the ledger has for it.
    fn would_send(&self, _job: Option<&Job>) -> bool {
        self.is_remote()
    }
    /// How many pages the file has, without reading their text and without sending it anywhere.
    /// `None` where that cannot be told, or the file is no longer `document_id`.
    fn count_pages<'a>(
        &'a self,
        _source: &'a Source,
        _document_id: &'a DocumentId,
    ) -> BoxFuture<'a, Option<u64>> {
        futures_util::FutureExt::boxed(async { None })
    }
    /// Parses one file. A remote parser keeps its ledger row true at every step.
    fn parse<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Result<Outcome, ParseError>>;
}

/// One file to parse, and what the parser may touch while it does.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub source: &'a Source,
    pub document_id: &'a DocumentId,
    pub ledger: &'a dyn Ledger,
    pub stop: &'a CancellationToken,
    /// Told of every step, for progress.
    pub report: &'a (dyn Fn(Step) + Sync),
}

/// How parsing ended, if it did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// The pages are here.
    Pages(Box<Parsed>),
    /// The job is at the service and can be collected later.
    Pending { job: String, remote_id: String },
}

/// A step worth showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Parsing,
    /// Pictures are being read, so many of so many pages are.
    Recognising {
        pages: usize,
        of: usize,
    },
    Uploading {
        sent: u64,
        total: u64,
    },
    Submitted {
        job: String,
        remote_id: String,
    },
    Waiting {
        state: String,
        waited: Duration,
    },
    Retrying {
        reason: String,
        pause: Duration,
    },
}

/// Why a file has no pages.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// This file cannot be read as a document; the others can go on.
    #[error("{reason}")]
    Document {
        reason: String,
        /// What the user can do about it.
        hint: Option<String>,
        /// Whether another parser may do better.
        elsewhere: bool,
    },
    /// Not sent, by the user's own limits.
    #[error("{0}")]
    Withheld(String),
    /// The service takes nothing at the moment. What it has already may still be collected.
    #[error("{0}")]
    Unavailable(String),
    /// Nothing more can be parsed in this run (the token is refused).
    #[error("{0}")]
    Service(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The ledger or the disk failed.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

impl ParseError {
    /// A document error without a hint.
    pub fn document(reason: impl Into<String>) -> Self {
        ParseError::Document {
            reason: reason.into(),
            hint: None,
            elsewhere: false,
        }
    }

    /// A document error with the way out.
    pub fn with_hint(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        ParseError::Document {
            reason: reason.into(),
            hint: Some(hint.into()),
            elsewhere: false,
        }
    }

    /// A document error of this parser, where another one may do better.
    pub fn unreadable_here(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        ParseError::Document {
            reason: reason.into(),
            hint: Some(hint.into()),
            elsewhere: true,
        }
    }
}
