//! The remote Storm Parse service: upload once, poll until it is done. The ledger row is durable
//! before each side effect, so the same bytes are never uploaded twice.

mod body;
mod breaker;
mod client;
mod fault;
mod pages;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;

pub use client::{Client, Reach};
pub use fault::RetryPolicy;
pub use wire::Api;

use self::breaker::Breaker;
use self::fault::{Backoff, Fault};
use self::pages::parsed;
use self::wire::Progress;
use super::{Outcome, ParseError, Parser, Step, Work};
use crate::document::Parsed;
use crate::ledger::{Job, JobState, Retry, job_id};

/// Formats the service takes.
const EXTENSIONS: [&str; 14] = [
    "pdf", "docx", "doc", "pptx", "ppt", "png", "jpg", "jpeg", "hwp", "hwpx", "xlsx", "xls", "csv",
    "txt",
];
/// Pages as they come; raise the number when they would be read differently.
const VERSION: &str = "storm-1";
/// How long an upload under way may go on after Ctrl-C.
const UPLOAD_GRACE: Duration = Duration::from_secs(5);
/// Each pause between two polls is this much longer than the one before, up to the cap.
const POLL_GROWTH: f64 = 1.25;
const POLL_CAP: Duration = Duration::from_secs(10);

/// Parses at the service.
pub struct StormParser {
    client: Client,
    options: Options,
    breaker: Breaker,
}

/// How to wait, and what to send again.
#[derive(Debug, Clone)]
pub struct Options {
    /// First pause between two polls.
    pub poll_interval: Duration,
    /// Longest wait for one job.
    pub timeout: Duration,
    /// Failed jobs the user wants to send again.
    pub retry: Retry,
    /// What to do when a call fails.
    pub policy: RetryPolicy,
    /// Upload only; the pages are collected by a later run.
    pub detach: bool,
}

impl StormParser {
    /// A parser that talks through `client`.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            options,
            breaker: Breaker::default(),
        }
    }

    async fn run(&self, work: Work<'_>) -> Result<Outcome, ParseError> {
        if work.source.size == 0 {
            return Err(ParseError::document("the file is empty"));
        }
        let id = job_id(self.client.base(), work.document_id);
        let mut job = match work.ledger.job(&id)? {
            Some(job) => job,
            None => Job::new(self.client.base(), work.document_id, work.source.size),
        };
        if job.state == JobState::Uploading {
            let reason = "an earlier run ended between the upload and its answer".to_owned();
            job.enter(JobState::Lost, Some(reason));
            work.ledger.save(&job)?;
        }
        if job.state.is_failure() {
            self.reconsider(&mut job)?;
        }
        let remote_id = match job.remote_id.clone() {
            Some(remote_id) => remote_id,
            None => self.upload(&mut job, work).await?,
        };
        (work.report)(Step::Submitted {
            job: job.id.clone(),
            remote_id: remote_id.clone(),
        });
        if self.options.detach {
            let job = job.id;
            return Ok(Outcome::Pending { job, remote_id });
        }
        self.poll(&mut job, &remote_id, work)
            .await
            .map(|parsed| Outcome::Pages(parsed.into()))
    }

    /// Starts a failed job anew if the user allowed it, lets one with a job id be asked for once
    /// more, which is free, and refuses the others.
    fn reconsider(&self, job: &mut Job) -> Result<(), ParseError> {
        if self.options.retry.covers(job.state) {
            job.remote_id = None;
            job.enter(JobState::Queued, None);
            return Ok(());
        }
        if job.remote_id.is_some() && !self.options.detach {
            return Ok(());
        }
        let why = job.error.clone().unwrap_or_default();
        Err(match job.state {
            JobState::Lost => ParseError::with_hint(
                format!("was sent before, but the answer was lost ({why})"),
                "it may have been billed; --retry lost sends it again",
            ),
            JobState::Expired => ParseError::with_hint(
                format!("the service no longer knows its job ({why})"),
                "--retry failed sends it again",
            ),
            _ => ParseError::with_hint(
                format!("the service refused it before: {why}"),
                "--retry failed sends it again",
            ),
        })
    }

    async fn upload(&self, job: &mut Job, work: Work<'_>) -> Result<String, ParseError> {
        self.breaker.before_upload()?;
        // Which API and whether the token holds is asked before a byte is sent.
        let api = self.api(work).await?;
        let gone = Arc::new(AtomicU64::new(0));
        let progress = |sent| {
            (work.report)(Step::Uploading {
                sent,
                total: work.source.size,
            });
        };
        let path = &work.source.path;
        let name = path.rsplit('/').next().unwrap_or(path);
        let document = work.document_id;
        let mut pauses = Backoff::new(self.options.policy);
        loop {
            self.breaker.before_upload()?;
            job.attempts += 1;
            job.enter(JobState::Uploading, None);
            work.ledger.save(job)?;
            gone.store(0, SeqCst);
            let sent = tokio::select! {
                sent = self.client.upload(api, &work.source.file, name, document, &gone, &progress) => sent,
                () = grace(work.stop) => {
                    // A file that was not sent whole cannot have been taken.
                    let state = match gone.load(SeqCst) < work.source.size {
                        true => JobState::Queued,
                        false => JobState::Lost,
                    };
                    job.enter(state, Some("interrupted during the upload".to_owned()));
                    work.ledger.save(job)?;
                    return Err(ParseError::Interrupted);
                }
            };
            match sent {
                Ok(Progress::Failed(reason)) => {
                    self.breaker.refused(&reason);
                    return Err(fail(job, JobState::Failed, reason, work)?);
                }
                Ok(Progress::Running {
                    job: Some(remote_id),
                    ..
                })
                | Ok(Progress::Done {
                    job: Some(remote_id),
                    ..
                }) => {
                    progress(work.source.size);
                    self.breaker.accepted();
                    job.remote_id = Some(remote_id.clone());
                    job.enter(JobState::Submitted, None);
                    work.ledger.save(job)?;
                    return Ok(remote_id);
                }
                Ok(_) => {
                    let reason = "the service's answer has no job id".to_owned();
                    self.breaker.lost(&reason);
                    return Err(fail(job, JobState::Lost, reason, work)?);
                }
                Err(fault) => {
                    let why = fault.to_string();
                    let state = match &fault {
                        fault if fault.answer_lost() => {
                            self.breaker.lost(&why);
                            JobState::Lost
                        }
                        Fault::Status { .. } if fault.is_about_document() => {
                            self.breaker.refused(&why);
                            JobState::Failed
                        }
                        _ => JobState::Queued,
                    };
                    job.enter(state, Some(why));
                    work.ledger.save(job)?;
                    self.pause_or_fail(fault, &mut pauses, work).await?;
                }
            }
        }
    }

    async fn poll(
        &self,
        job: &mut Job,
        remote_id: &str,
        work: Work<'_>,
    ) -> Result<Parsed, ParseError> {
        let api = self.api(work).await?;
        let start = Instant::now();
        let mut interval = self.options.poll_interval;
        let mut pauses = Backoff::new(self.options.policy);
        loop {
            self.breaker.before_call()?;
            let polled = tokio::select! {
                polled = self.client.poll(api, remote_id) => polled,
                () = work.stop.cancelled() => return Err(ParseError::Interrupted),
            };
            match polled {
                Ok(Progress::Done { pages, .. }) if pages.is_empty() => {
                    let reason = "it answered without any page".to_owned();
                    return Err(fail(job, JobState::Failed, reason, work)?);
                }
                Ok(Progress::Done { pages, title, .. }) => {
                    self.breaker.answered();
                    return Ok(parsed(pages, title));
                }
                Ok(Progress::Failed(reason)) => {
                    return Err(fail(job, JobState::Failed, reason, work)?);
                }
                Ok(Progress::NotFound(reason)) => {
                    return Err(fail(job, JobState::Expired, reason, work)?);
                }
                Ok(Progress::Running { state, .. }) => {
                    self.breaker.answered();
                    pauses = Backoff::new(self.options.policy);
                    if job.state != JobState::Processing {
                        job.enter(JobState::Processing, None);
                        work.ledger.save(job)?;
                    }
                    (work.report)(Step::Waiting {
                        state,
                        waited: start.elapsed(),
                    });
                }
                Err(fault) => self.pause_or_fail(fault, &mut pauses, work).await?,
            }
            if start.elapsed() + interval > self.options.timeout {
                return Err(ParseError::with_hint(
                    format!(
                        "the service was not done after {}",
                        humantime::format_duration(self.options.timeout)
                    ),
                    format!(
                        "nothing is lost: run the same command again, or `squall status --wait`, \
                         to go on waiting for job {}",
                        job.id
                    ),
                ));
            }
            sleep(interval, work).await?;
            interval = interval
                .mul_f64(POLL_GROWTH)
                .min(POLL_CAP.max(self.options.poll_interval));
        }
    }

    async fn api(&self, work: Work<'_>) -> Result<Api, ParseError> {
        let mut pauses = Backoff::new(self.options.policy);
        loop {
            self.breaker.before_call()?;
            let api = tokio::select! {
                api = self.client.api() => api,
                () = work.stop.cancelled() => return Err(ParseError::Interrupted),
            };
            match api {
                Ok(api) => return Ok(api),
                Err(fault) => self.pause_or_fail(fault, &mut pauses, work).await?,
            }
        }
    }

    /// Waits before another try, or gives up with the right kind of error.
    async fn pause_or_fail(
        &self,
        fault: Fault,
        pauses: &mut Backoff,
        work: Work<'_>,
    ) -> Result<(), ParseError> {
        if fault.answer_lost() {
            return Err(ParseError::with_hint(
                format!("was sent, but the answer was lost ({fault})"),
                "it may have been billed; --retry lost sends it again",
            ));
        }
        match pauses.next(&fault) {
            Some(pause) => {
                (work.report)(Step::Retrying {
                    reason: fault.to_string(),
                    pause,
                });
                sleep(pause, work).await
            }
            None if fault.is_about_document() => Err(match fault {
                Fault::Status { upload: true, .. } => {
                    ParseError::with_hint(fault.to_string(), "--retry failed sends it again")
                }
                Fault::Changed => ParseError::with_hint(
                    fault.to_string(),
                    "run the same command again when it is complete",
                ),
                Fault::File(_) => ParseError::document(fault.to_string()),
                _ => {
                    if matches!(fault, Fault::Broken(_)) {
                        self.breaker.lost(&fault.to_string());
                    }
                    ParseError::with_hint(
                        fault.to_string(),
                        "nothing is lost: run the same command again",
                    )
                }
            }),
            None => Err(match &fault {
                Fault::Token(_) | Fault::NoToken => ParseError::Service(fault.to_string()),
                Fault::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => {
                    self.breaker.close_uploads(fault.to_string())
                }
                // It answers others, so it is this one it has trouble with.
                _ if self.breaker.has_answered_since(pauses.start()) => ParseError::with_hint(
                    fault.to_string(),
                    "nothing is lost: run the same command again",
                ),
                _ => self.breaker.close(fault.to_string()),
            }),
        }
    }
}

impl Parser for StormParser {
    fn service(&self) -> &str {
        self.client.base()
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn extensions(&self) -> &'static [&'static str] {
        &EXTENSIONS
    }

    fn default_concurrency(&self) -> usize {
        4
    }

    fn begin(&self) {
        self.breaker.reset();
    }

    fn would_send(&self, job: Option<&Job>) -> bool {
        match job {
            Some(job) if job.state == JobState::Uploading || job.state.is_failure() => {
                self.options.retry.covers(job.state)
            }
            Some(job) => job.remote_id.is_none(),
            None => true,
        }
    }

    fn parse<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Result<Outcome, ParseError>> {
        self.run(work).boxed()
    }
}

/// Records the end of a job and returns the error that says so.
fn fail(
    job: &mut Job,
    state: JobState,
    reason: String,
    work: Work<'_>,
) -> Result<ParseError, ParseError> {
    job.enter(state, Some(reason.clone()));
    work.ledger.save(job)?;
    Ok(match state {
        JobState::Expired => ParseError::with_hint(
            format!("the service no longer knows job {}: {reason}", job.id),
            "--retry failed sends the file again",
        ),
        JobState::Lost => ParseError::with_hint(reason, "--retry lost sends the file again"),
        _ => ParseError::with_hint(
            format!("the service could not parse it: {reason}"),
            "try --parser local, or --retry failed to send it again",
        ),
    })
}

/// Ends some time after the user asked to stop: an upload's answer is worth waiting for.
async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(UPLOAD_GRACE).await;
}

async fn sleep(pause: Duration, work: Work<'_>) -> Result<(), ParseError> {
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = work.stop.cancelled() => Err(ParseError::Interrupted),
    }
}
