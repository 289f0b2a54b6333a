//! Jobs as a server shows them: listed, cancelled, tried again.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Kind, Service, Told};
use crate::accounts::{Role, Who};
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

impl JobView {
    fn new(row: JobRow) -> Self {
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
    /// Others wait for it, too.
    Shared,
}

impl Service {
    /// A piece of the list of jobs, and how many there are; of each what `who` may see.
    pub fn jobs(
        &self,
        who: &Who,
        query: &JobQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<JobView>)> {
        let (total, rows) = self.store.list_jobs(query, slice)?;
        let seen = rows
            .into_iter()
            .map(|row| JobView::new(self.seen_by(who, row)));
        Ok((total, seen.collect()))
    }

    /// One job, as far as `who` may see it.
    ///
    /// # Errors
    /// Not found.
    pub fn job(&self, who: &Who, id: &str) -> anyhow::Result<JobView> {
        let row = self.job_row(who, id)?;
        Ok(JobView::new(self.seen_by(who, row)))
    }

    /// Without the places of other people: the same bytes may be theirs, too.
    fn seen_by(&self, who: &Who, mut row: JobRow) -> JobRow {
        let shared = &self.settings().collection;
        row.targets
            .retain(|target| who.may_use(&target.collection, shared));
        let paths = row.targets.iter().map(|target| target.source.path.clone());
        row.paths = paths.collect();
        row.paths.dedup();
        row
    }

    /// A whole job, of which `who` may see something.
    fn job_row(&self, who: &Who, id: &str) -> anyhow::Result<JobRow> {
        let shared = &self.settings().collection;
        let found = self.store.job_row(id)?.filter(|row| {
            let mut places = row.targets.iter();
            who.role == Role::Admin || places.any(|target| who.may_use(&target.collection, shared))
        });
        Ok(found.ok_or_else(|| Error::NotFound(format!("there is no job {id}")))?)
    }

    /// Gives up a job that has not begun and nobody else waits for; it may be tried again.
    pub fn cancel(&self, who: &Who, id: &str) -> anyhow::Result<Wish> {
        let row = self.job_row(who, id)?;
        if self.seen_by(who, row.clone()).targets.len() < row.targets.len() {
            return Ok(Wish::Shared);
        }
        if !self.store.cancel(id)? {
            return Ok(Wish::Refused(self.job_row(who, id)?.job.state));
        }
        self.tell(&row, Kind::Failed, Some(CANCELLED));
        Ok(Wish::Granted)
    }

    /// Tries a failed job again.
    pub fn retry(&self, who: &Who, id: &str) -> anyhow::Result<Wish> {
        let row = self.job_row(who, id)?;
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
