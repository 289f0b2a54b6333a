//! The ledger of jobs: what was handed to which parser, and how it went. A row is durable before
//! the next side effect, so that a crash never costs a second upload.

use serde::{Deserialize, Serialize};

use crate::document::{DocumentId, Source, Tags};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Known, nothing sent yet.
    Queued,
    /// The upload was begun; if the process dies here the answer is lost.
    Uploading,
    /// The service gave a job id.
    Submitted,
    /// The service (or the local parser) is at work.
    Processing,
    /// The pages are in the store.
    Completed,
    /// The parser refused the document.
    Failed,
    /// The service no longer knows the job.
    Expired,
    /// Sent, but the answer with the job id never arrived.
    Lost,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [JobState; 8] = [
        JobState::Queued,
        JobState::Uploading,
        JobState::Submitted,
        JobState::Processing,
        JobState::Completed,
        JobState::Failed,
        JobState::Expired,
        JobState::Lost,
    ];

    /// The stored and printed spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Uploading => "uploading",
            JobState::Submitted => "submitted",
            JobState::Processing => "processing",
            JobState::Completed => "completed",
            JobState::Failed => "failed",
            JobState::Expired => "expired",
            JobState::Lost => "lost",
        }
    }

    /// The state spelled `text`, if there is one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the job ended without pages and waits for the user's decision.
    pub fn is_failure(self) -> bool {
        matches!(self, JobState::Failed | JobState::Expired | JobState::Lost)
    }

    /// Whether work is still under way, here or at the service.
    pub fn is_open(self) -> bool {
        !self.is_failure() && self != JobState::Completed
    }
}

/// One document handed to one service. The same bytes and the same service are the same job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    pub id: String,
    /// `local`, or the service's base URL.
    pub service: String,
    pub document_id: DocumentId,
    pub state: JobState,
    /// The service's own job id.
    pub remote_id: Option<String>,
    /// Uploads begun.
    pub attempts: u32,
    pub error: Option<String>,
    /// Bytes.
    pub size: u64,
    pub pages: Option<u32>,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub updated_at: String,
}

impl Job {
    /// A job not yet begun.
    pub fn new(service: &str, document_id: &DocumentId, size: u64) -> Self {
        let now = timestamp();
        Self {
            id: job_id(service, document_id),
            service: service.to_owned(),
            document_id: document_id.clone(),
            state: JobState::Queued,
            remote_id: None,
            attempts: 0,
            error: None,
            size,
            pages: None,
            created_at: now.clone(),
            updated_at: now,
        }
    }

    /// Moves to `state`, with the reason if it is a bad one.
    pub fn enter(&mut self, state: JobState, error: Option<String>) {
        self.state = state;
        self.error = error;
        self.updated_at = timestamp();
    }
}

/// Who wants the pages of a job: the collection and path they become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub collection: String,
    pub source: Source,
    pub tags: Tags,
    /// Whether they are to be made anew, however they were made before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// Which failed jobs the user wants to send again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// None: report them.
    #[default]
    None,
    /// Those the service refused or forgot.
    Failed,
    /// Those whose upload got no answer (they may be billed twice).
    Lost,
    /// Both.
    All,
}

impl Retry {
    /// Whether a job in `state` is to be sent again.
    pub fn covers(self, state: JobState) -> bool {
        match state {
            JobState::Failed | JobState::Expired => matches!(self, Retry::Failed | Retry::All),
            JobState::Lost | JobState::Uploading => matches!(self, Retry::Lost | Retry::All),
            _ => true,
        }
    }
}

/// Why a job that was given up failed.
pub const CANCELLED: &str = "cancelled";

/// Durable storage of jobs. [`Ledger::save`] returns only when the row would survive a crash.
pub trait Ledger: Send + Sync {
    /// The job with this id.
    fn job(&self, id: &str) -> anyhow::Result<Option<Job>>;
    /// Inserts or replaces a job. Only the one process and task that works on it may do so.
    fn save(&self, job: &Job) -> anyhow::Result<()>;
    /// Inserts a job unless there is one with its id; returns what is stored.
    fn begin(&self, job: &Job) -> anyhow::Result<Job>;
    /// Moves a job from one state to another, if it is in the first; whether it was.
    fn transition(&self, id: &str, from: JobState, to: JobState) -> anyhow::Result<bool>;
}

/// The id of the job that parses `document` at `service`: 16 hex digits, the same every time.
pub fn job_id(service: &str, document: &DocumentId) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(service.as_bytes());
    hasher.update(b"\n");
    hasher.update(document.0.as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Now, as RFC 3339 in UTC to the second.
pub fn timestamp() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip_through_their_spelling() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        assert_eq!(JobState::parse("nonsense"), None);
    }

    #[test]
    fn a_lost_upload_is_sent_again_only_on_demand() {
        assert!(!Retry::None.covers(JobState::Lost));
        assert!(!Retry::Failed.covers(JobState::Uploading));
        assert!(Retry::Lost.covers(JobState::Uploading));
        assert!(Retry::All.covers(JobState::Failed));
        assert!(Retry::None.covers(JobState::Submitted));
    }

    #[test]
    fn the_same_bytes_at_another_service_are_another_job() {
        let id = DocumentId("ab".into());
        assert_eq!(job_id("local", &id), job_id("local", &id));
        assert_ne!(job_id("local", &id), job_id("https://x", &id));
    }
}
