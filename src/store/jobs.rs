//! The ledger in SQLite: a row is durable when a method returns.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::JobRow;
use super::put::UNMET;
use super::sqlite::EmbeddedStore;
use super::sums;
use crate::document::DocumentId;
use crate::ledger::{CANCELLED, Job, JobState, Ledger, Target, timestamp};

/// Columns as [`stored_job`] reads them, the last telling whether the row is as it was written: one
/// that is not could have a paid document sent again.
fn columns() -> String {
    format!(
        "id, service, hash, state, remote_id, attempts, error, size, pages, created_at, \
         updated_at, {}",
        sums::intact("jobs", "jobs")
    )
}

impl Ledger for EmbeddedStore {
    fn job(&self, id: &str) -> anyhow::Result<Option<Job>> {
        let db = self.reader();
        let mut statement =
            db.prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", columns()))?;
        Ok(statement.query_row([id], stored_job).optional()?)
    }

    fn save(&self, job: &Job) -> anyhow::Result<()> {
        self.write(|tx| insert(tx, job))
    }

    fn begin(&self, job: &Job) -> anyhow::Result<Job> {
        self.begin_job(job)
    }

    fn transition(&self, id: &str, from: JobState, to: JobState) -> anyhow::Result<bool> {
        self.move_job(id, from, to)
    }
}
impl EmbeddedStore {
    pub(super) fn begin_job(&self, job: &Job) -> anyhow::Result<Job> {
        self.write(|tx| {
            let known = tx
                .prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", columns()))?
                .query_row([&job.id], stored_job)
                .optional()?;
            if let Some(known) = known {
                return Ok(known);
            }
            insert(tx, job)?;
            Ok(job.clone())
        })
    }

    pub(super) fn move_job(&self, id: &str, from: JobState, to: JobState) -> anyhow::Result<bool> {
        self.write(|tx| {
            let changed = tx.execute(
                &format!(
                    "UPDATE jobs SET state = ?3, error = NULL, updated_at = ?4
                     WHERE id = ?1 AND state = ?2 AND {}",
                    sums::intact("jobs", "jobs")
                ),
                params![id, from.as_str(), to.as_str(), timestamp()],
            )?;
            Ok(changed == 1)
        })
    }

    pub(super) fn find_open_jobs(&self) -> anyhow::Result<Vec<JobRow>> {
        let jobs: Vec<Job> = {
            let db = self.reader();
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM jobs WHERE state <> ?1 ORDER BY created_at, id",
                columns()
            ))?;
            statement
                .query_map([JobState::Completed.as_str()], stored_job)?
                .collect::<Result<_, _>>()?
        };
        jobs.into_iter().map(|job| self.with_targets(job)).collect()
    }

    pub(super) fn find_job_row(&self, id: &str) -> anyhow::Result<Option<JobRow>> {
        match self.job(id)? {
            Some(job) => self.with_targets(job).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn put_target(&self, job: &str, target: &Target) -> anyhow::Result<()> {
        let json = serde_json::to_string(target)?;
        self.write(|tx| save_target(tx, job, target, &json))
    }

    /// Completes an open job, unless somebody still waits for it.
    pub(super) fn complete_if_met(&self, id: &str) -> anyhow::Result<bool> {
        self.write(|tx| {
            let changed = tx.execute(
                &format!(
                    "UPDATE jobs SET state = 'completed', error = NULL, updated_at = ?2
                     WHERE id = ?1 AND state <> 'completed' AND NOT {UNMET}"
                ),
                params![id, timestamp()],
            )?;
            Ok(changed == 1)
        })
    }

    /// Adds a target; with `again` the job goes back to the queue from any state but those of work at
    /// the service, and forgets what the service made of it.
    pub(super) fn want_pages(&self, job: &Job, target: &Target, anew: bool) -> anyhow::Result<Job> {
        let json = serde_json::to_string(target)?;
        self.write(|tx| {
            let mut known =
                tx.prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?1", columns()))?;
            if !known.exists([&job.id])? {
                insert(tx, job)?;
            }
            save_target(tx, &job.id, target, &json)?;
            let from = match anew {
                true => "'completed', 'failed', 'expired', 'lost'",
                false => "'completed'",
            };
            tx.execute(
                &format!(
                    "UPDATE jobs SET state = 'queued', error = NULL, updated_at = ?2,
                     remote_id = CASE WHEN ?3 THEN NULL ELSE remote_id END
                     WHERE id = ?1 AND state IN ({from})"
                ),
                params![job.id, timestamp(), anew],
            )?;
            Ok(known.query_row([&job.id], stored_job)?)
        })
    }

    /// Gives up a job that has not begun; whether it had not.
    pub(super) fn cancel_job(&self, id: &str) -> anyhow::Result<bool> {
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE jobs SET state = 'failed', error = ?2, updated_at = ?3
                 WHERE id = ?1 AND state = 'queued'",
                params![id, CANCELLED, timestamp()],
            )?;
            Ok(changed == 1)
        })
    }

    /// Puts a job that has failed back into the queue, whatever the service made of it; whether it had.
    pub(super) fn requeue_job(&self, id: &str) -> anyhow::Result<bool> {
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE jobs SET state = 'queued', error = NULL, remote_id = NULL, updated_at = ?2
                 WHERE id = ?1 AND state IN ('failed', 'expired', 'lost')",
                params![id, timestamp()],
            )?;
            // The worker takes what came over HTTP, and what it is told to.
            tx.execute(
                "UPDATE job_targets SET target = json_set(target, '$.again', json('true'))
                 WHERE job_id = ?1 AND json_extract(target, '$.source.root') <> 'upload'",
                [id],
            )?;
            Ok(changed == 1)
        })
    }

    /// Whether somebody still wants these bytes there.
    pub(super) fn has_target(
        &self,
        collection: &str,
        path: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool> {
        is_wanted(&self.reader(), collection, path, document)
    }

    /// Whether a path holds other bytes, or waits for some.
    pub(super) fn has_name(
        &self,
        collection: &str,
        path: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool> {
        let db = self.reader();
        let mut statement = db.prepare_cached(
            "SELECT 1 FROM job_targets t JOIN jobs j ON j.id = t.job_id
             WHERE t.collection = ?1 AND t.path = ?2 AND j.hash <> ?3 AND j.state <> 'completed'
             UNION ALL SELECT 1 FROM sources s JOIN documents d ON d.id = s.document_id
             JOIN collections c ON c.id = s.collection_id
             WHERE c.name = ?1 AND s.path = ?2 AND d.hash <> ?3",
        )?;
        Ok(statement.exists(params![collection, path, document.0])?)
    }

    pub(super) fn delete_targets(&self, job: &str, collection: &str) -> anyhow::Result<()> {
        self.write(|tx| {
            tx.execute(
                "DELETE FROM job_targets WHERE job_id = ?1 AND collection = ?2",
                params![job, collection],
            )?;
            // A job nobody waits for is no job, unless it is at the service.
            tx.execute(
                "DELETE FROM jobs WHERE id = ?1 AND remote_id IS NULL
                 AND NOT EXISTS (SELECT 1 FROM job_targets WHERE job_id = ?1)",
                [job],
            )?;
            Ok(())
        })
    }

    fn with_targets(&self, job: Job) -> anyhow::Result<JobRow> {
        let db = self.reader();
        let mut statement =
            db.prepare_cached("SELECT target FROM job_targets WHERE job_id = ?1 ORDER BY path")?;
        let texts: Vec<String> = statement
            .query_map([&job.id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let targets = texts
            .iter()
            .map(|text| serde_json::from_str(text))
            .collect::<Result<Vec<Target>, _>>()?;
        let paths = targets
            .iter()
            .map(|target| target.source.path.clone())
            .collect();
        Ok(JobRow {
            job,
            targets,
            paths,
        })
    }
}

/// Whether a job that was not cancelled has a target there for these bytes.
pub(super) fn is_wanted(
    db: &Connection,
    collection: &str,
    path: &str,
    document: &DocumentId,
) -> anyhow::Result<bool> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM job_targets t JOIN jobs j ON j.id = t.job_id
         WHERE t.collection = ?1 AND t.path = ?2 AND j.hash = ?3
         AND NOT (j.state = 'failed' AND j.error = ?4)",
    )?;
    Ok(statement.exists(params![collection, path, document.0, CANCELLED])?)
}

fn save_target(tx: &Transaction<'_>, job: &str, target: &Target, json: &str) -> anyhow::Result<()> {
    // A path wants the pages of its latest bytes only, by whoever is paid to make them.
    tx.execute(
        "DELETE FROM job_targets WHERE collection = ?1 AND path = ?2 AND job_id <> ?3
         AND job_id NOT IN (SELECT id FROM jobs WHERE remote_id IS NOT NULL
             AND state IN ('submitted', 'processing')
             AND hash = (SELECT hash FROM jobs WHERE id = ?3))",
        params![target.collection, target.source.path, job],
    )?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO job_targets (job_id, collection, path, target)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![job, target.collection, target.source.path, json])?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, job: &Job) -> anyhow::Result<()> {
    tx.prepare_cached(
        "INSERT INTO jobs (id, service, hash, state, remote_id, attempts, error, size,
                                   pages, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (id) DO UPDATE SET state = ?4, remote_id = ?5, attempts = ?6,
                     error = ?7, size = ?8, pages = ?9, updated_at = ?11",
    )?
    .execute(params![
        job.id,
        job.service,
        job.document_id.0,
        job.state.as_str(),
        job.remote_id,
        job.attempts,
        job.error,
        job.size as i64,
        job.pages,
        job.created_at,
        job.updated_at
    ])?;
    Ok(())
}

fn stored_job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let state: String = row.get(3)?;
    let id: String = row.get(0)?;
    sums::check(row, 11, || format!("the row of job {id}"))?;
    Ok(Job {
        id,
        service: row.get(1)?,
        document_id: DocumentId(row.get(2)?),
        state: JobState::parse(&state).unwrap_or(JobState::Failed),
        remote_id: row.get(4)?,
        attempts: row.get(5)?,
        error: row.get(6)?,
        size: row.get::<_, i64>(7)? as u64,
        pages: row.get(8)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}
