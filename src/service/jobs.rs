//! Jobs as a server shows them: listed, cancelled, tried again.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Kind, Service, Told};
use crate::error::Error;
use crate::ledger::{CANCELLED, JobState};
use crate::store::{JobQuery, JobRow, Slice};

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobView {
    pub job_id: String,
    pub document_id: String,
    pub state: String,
    /// File name.
    pub name: String,
    /// Every path that waits for it.
    pub names: Vec<String>,
    /// Where its pages go first.
    pub collection: Option<String>,
    /// Everywhere its pages go.
    #[serde(skip)]
    pub collections: Vec<String>,
    /// Who parses: `local`, or the service's base URL.
    pub service: String,
    /// Times it was begun.
    pub attempts: u32,
    pub error: Option<String>,
    /// Bytes.
    pub size: u64,
    pub pages: Option<u32>,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub updated_at: String,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        let JobRow {
            job,
            targets,
            paths,
        } = row;
        Self {
            job_id: job.id,
            document_id: job.document_id.0,
            state: job.state.as_str().to_owned(),
            name: paths
                .first()
                .map(|path| super::documents::file_name(path))
                .unwrap_or_default(),
            names: paths,
            collection: targets.first().map(|target| target.collection.clone()),
            collections: targets
                .into_iter()
                .map(|target| target.collection)
                .collect(),
            service: job.service,
            attempts: job.attempts,
            error: job.error,
            size: job.size,
            pages: job.pages,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Granted,
    /// The job's state forbids it.
    Refused(JobState),
}

impl Service {
    /// A piece of the list of jobs, and how many there are.
    pub fn jobs(&self, query: &JobQuery, slice: Slice) -> anyhow::Result<(u64, Vec<JobView>)> {
        let (total, rows) = self.store.list_jobs(query, slice)?;
        Ok((total, rows.into_iter().map(JobView::from).collect()))
    }

    /// One job.
    ///
    /// # Errors
    /// Not found.
    pub fn job(&self, id: &str) -> anyhow::Result<JobView> {
        Ok(self.job_row(id)?.into())
    }

    fn job_row(&self, id: &str) -> anyhow::Result<JobRow> {
        let row = self.store.job_row(id)?;
        Ok(row.ok_or_else(|| Error::NotFound(format!("there is no job {id}")))?)
    }

    /// Gives up a job that has not begun; it may be tried again.
    pub fn cancel(&self, id: &str) -> anyhow::Result<Wish> {
        let row = self.job_row(id)?;
        if !self.store.cancel(id)? {
            return Ok(Wish::Refused(self.job_row(id)?.job.state));
        }
        self.tell(&row, Kind::Failed, Some(CANCELLED));
        Ok(Wish::Granted)
    }

    /// Tries a failed job again.
    pub fn retry(&self, id: &str) -> anyhow::Result<Wish> {
        let row = self.job_row(id)?;
        let is_here = row.job.service == self.parsers().first.service();
        let has_bytes = || {
            row.targets
                .iter()
                .any(|target| target.source.file.is_file())
        };
        if !is_here || !has_bytes() || !self.store.requeue(id)? {
            return Ok(Wish::Refused(row.job.state));
        }
        self.tell(&row, Kind::Queued, None);
        self.ring();
        Ok(Wish::Granted)
    }

    fn tell(&self, row: &JobRow, kind: Kind, error: Option<&str>) {
        for target in &row.targets {
            self.events.tell(Told {
                document_id: Some(row.job.document_id.0.clone()),
                job_id: Some(row.job.id.clone()),
                error: error.map(str::to_owned),
                ..Told::new(kind, &target.collection, &target.source.path)
            });
        }
    }
}
