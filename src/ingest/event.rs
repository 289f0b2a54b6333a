//! What happens during an ingest, told to an observer as it happens and summed up at the end.

use serde::Serialize;

/// One thing that happened to one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// One more file was found; how many so far.
    Found { documents: u64 },
    /// No more files will be found.
    AllFound { documents: u64 },
    /// It is new, and next to be parsed.
    Started { path: String, bytes: u64 },
    /// The built-in parser is at it.
    Parsing { path: String },
    /// Pictures in it are being read by OCR.
    Recognising {
        path: String,
        pages: usize,
        of: usize,
    },
    /// The pages are there and wait to be embedded.
    Parsed { path: String },
    /// Bytes of it have gone to the service.
    Uploading { path: String, sent: u64, total: u64 },
    /// The service gave it a job id.
    Submitted {
        path: String,
        job: String,
        remote_id: String,
    },
    /// The service said how it stands.
    Waiting {
        path: String,
        state: String,
        seconds: f64,
    },
    /// The service did not answer as it should; it is asked again after a pause.
    Retrying {
        path: String,
        reason: String,
        seconds: f64,
    },
    /// Chunks of it are embedded.
    Embedding {
        path: String,
        chunks: usize,
        of: usize,
    },
    /// It is stored.
    Indexed {
        path: String,
        document_id: String,
        pages: usize,
        empty_pages: usize,
        garbled_pages: usize,
        failed_pages: usize,
        /// Numbers of the empty, garbled and failed ones.
        bad_pages: Vec<u32>,
        chunks: usize,
        /// Who made the pages: `local`, or the service's base URL.
        parser: String,
        replaced: bool,
        /// What the user should know of the file, such as a name that ends in the wrong way.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// Nothing to do; `reason` is `unchanged` or `same content`.
    Skipped { path: String, reason: &'static str },
    /// Uploaded, to be collected later.
    Pending {
        path: String,
        job: String,
        remote_id: String,
    },
    /// A dry run would take it in, and send it away first if `sent`.
    WouldIngest {
        path: String,
        bytes: u64,
        sent: bool,
    },
    /// Another parser should have read it, and did not; the pages of the first one are kept.
    NotEscalated {
        path: String,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// It has no pages, for this reason.
    Failed {
        path: String,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// Left for the next run.
    Parked {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its file is gone and so is the document.
    Pruned { path: String },
    /// A stage of it is done: `parse` (at a service, with the wait there), `embed` or `store`.
    Took {
        path: String,
        stage: &'static str,
        seconds: f64,
    },
}

impl Event {
    /// Whether it only moves a progress bar, and is no news in a log.
    pub fn is_tick(&self) -> bool {
        matches!(
            self,
            Event::Found { .. }
                | Event::AllFound { .. }
                | Event::Uploading { .. }
                | Event::Waiting { .. }
                | Event::Embedding { .. }
                | Event::Parsing { .. }
                | Event::Recognising { .. }
                | Event::Parsed { .. }
                | Event::Took { .. }
        )
    }
}

/// Why a document is left where somebody removed it, or gave its job up.
pub const GIVEN_UP: &str = "it was given up";

/// Hears of events, from several threads.
pub trait Observer: Send + Sync {
    fn hear(&self, event: &Event);
    /// Passes on a word that is no event.
    fn say(&self, line: &str);
    /// Clears what is drawn, before the summary is printed.
    fn finish(&self);
}

/// A document with pages that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadlyRead {
    pub path: String,
    pub pages: Vec<u32>,
}

impl BadlyRead {
    /// The pages in words: `page 2`, `pages 1, 3, 4`, the first ten of many.
    pub fn pages(&self) -> String {
        const MOST: usize = 10;
        let numbers: Vec<String> = self.pages.iter().take(MOST).map(u32::to_string).collect();
        let word = if self.pages.len() == 1 {
            "page"
        } else {
            "pages"
        };
        let more = match self.pages.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{word} {}{more}", numbers.join(", "))
    }
}

/// A document that has no pages, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedDocument {
    pub path: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A document whose pages can be collected later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingJob {
    pub path: String,
    /// For `squall status JOB`.
    pub job: String,
    /// The service's own id.
    pub remote_id: String,
}

/// How an ingest went.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub collection: String,
    /// The model of the collection; none yet where nothing was indexed.
    pub model: Option<String>,
    /// Why it was chosen, when this run made the collection and chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_chosen: Option<String>,
    /// `local`, or the service's base URL.
    pub parser: String,
    /// Where documents the local parser cannot read well go, with `--escalate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    pub dry_run: bool,
    /// Files found, whatever became of them.
    pub found: u64,
    /// Documents stored in this run, of which `replaced` are new versions.
    pub indexed: u64,
    pub replaced: u64,
    pub pages: u64,
    pub blank_pages: u64,
    pub empty_pages: u64,
    pub garbled_pages: u64,
    pub failed_pages: u64,
    pub chunks: u64,
    /// Chunks of pages the model cannot read, found by their words alone.
    pub unembedded_chunks: u64,
    /// Documents stored without any text, which no question can find.
    pub without_text: Vec<String>,
    /// Documents with pages that are empty, garbled or unreadable, and which pages.
    pub with_bad_pages: u64,
    pub badly_read: Vec<BadlyRead>,
    /// Documents read anew by the service because the local parser could not read them well.
    pub escalated: u64,
    /// Documents that should have been, and why they were not.
    pub not_escalated: Vec<FailedDocument>,
    /// Unchanged files, and copies of documents already in.
    pub skipped: u64,
    /// Files of kinds the parser does not take, met in folders.
    pub unsupported: u64,
    /// Documents dropped by `--prune`.
    pub pruned: u64,
    /// Uploaded and left at the service.
    pub pending: u64,
    pub pending_jobs: Vec<PendingJob>,
    /// Left for the next run.
    pub parked: u64,
    /// What a dry run would take in.
    pub would_ingest: u64,
    /// Documents and bytes sent to the service (in a dry run: that would be sent).
    pub uploaded: u64,
    pub uploaded_bytes: u64,
    /// Their pages, as counted here: in a dry run and under `--max-pages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_pages: Option<u64>,
    /// Documents among them whose pages cannot be counted here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<u64>,
    pub failed: Vec<FailedDocument>,
    /// Why the service ended the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_error: Option<String>,
    pub interrupted: bool,
    pub seconds: f64,
}
