//! Decides what is new: by size and time first, then by content hash.

use std::fs::File;

use tokio::sync::mpsc;

use super::{Fresh, Input, Run};
use crate::document::{DocumentId, Source};
use crate::ledger::job_id;
use crate::parse::local;
use crate::source::{self, Found};

/// Feeds new documents to the parse queue until the input or the run ends.
pub fn run(run: &Run, input: Input, queue: &mpsc::Sender<Fresh>) -> anyhow::Result<()> {
    match input {
        Input::Selection(selection) => {
            let mut result = Ok(());
            source::walk(
                &selection,
                &run.parts.parsers.extensions(),
                &mut |found| match take(run, found, queue) {
                    Ok(go_on) => go_on,
                    Err(error) => {
                        result = Err(error);
                        run.parts.stop.cancel();
                        false
                    }
                },
            )?;
            run.tally.all_found();
            result
        }
        Input::Jobs(jobs) => {
            for (document_id, target) in jobs {
                let source = target.source;
                if !run.is_wanted(&source.path, &document_id)? {
                    continue;
                }
                run.tally.found();
                let fresh = Fresh {
                    source,
                    document_id,
                    tags: target.tags,
                    again: target.again,
                };
                if !submit(run, fresh, queue)? {
                    break;
                }
            }
            run.tally.all_found();
            Ok(())
        }
    }
}

/// Handles one finding; `false` ends the walk.
fn take(run: &Run, found: Found, queue: &mpsc::Sender<Fresh>) -> anyhow::Result<bool> {
    match found {
        Found::File(source) => return consider(run, source, queue),
        Found::Unsupported { path } => run.tally.unsupported(&path),
        Found::Unusable { path, reason, hint } => {
            run.tally.found();
            run.tally.failed(&path, &reason, hint.as_deref());
        }
    }
    Ok(!run.parts.stop.is_cancelled())
}

fn consider(run: &Run, source: Source, queue: &mpsc::Sender<Fresh>) -> anyhow::Result<bool> {
    if run.parts.stop.is_cancelled() {
        return Ok(false);
    }
    run.tally.found();
    let (store, plan) = (&run.parts.store, &run.plan);
    let before = store.source(&plan.collection, &source.path)?;
    if let Some(before) = &before
        && !plan.checksum
        && (before.source.size, before.source.modified) == (source.size, source.modified)
        && source.modified != 0
        && !wants_more(run, &before.document_id)?
    {
        if !plan.tags.is_empty() && !plan.dry_run {
            store.attach(&plan.collection, &before.document_id, &source, &plan.tags)?;
        }
        run.tally.unchanged(&source.path);
        return Ok(true);
    }
    let hash = || {
        let unpacked = source::unpack(&source)?;
        File::open(&unpacked.source().file).and_then(DocumentId::of)
    };
    let document_id = match hash() {
        Ok(id) => id,
        Err(error) => {
            run.tally
                .failed(&source.path, &format!("cannot be read: {error}"), None);
            return Ok(true);
        }
    };
    let fresh = Fresh {
        source,
        document_id,
        tags: plan.tags.clone(),
        again: false,
    };
    submit(run, fresh, queue)
}

/// Queues a document unless it is in, or on its way; `false` when the run has ended.
fn submit(run: &Run, fresh: Fresh, queue: &mpsc::Sender<Fresh>) -> anyhow::Result<bool> {
    let (store, plan) = (&run.parts.store, &run.plan);
    // Claimed before it is looked up: a document stored in between is found by one or the other.
    if !run.claim(&fresh.document_id, &fresh.source) {
        if plan.dry_run {
            run.tally.linked(&fresh.source.path);
        }
        return Ok(true);
    }
    if !fresh.again
        && store.contains(&plan.collection, &fresh.document_id)?
        && !wants_more(run, &fresh.document_id)?
    {
        return already_in(run, fresh);
    }
    Ok(queue.blocking_send(fresh).is_ok())
}

/// Whether a document that is in was read badly by the local parser, and a better reading is to be
/// had: this parser reads what it did not, as pictures since an OCR engine was installed; the user allows
/// another one, or has paid for it already.
fn wants_more(run: &Run, document: &DocumentId) -> anyhow::Result<bool> {
    let (store, parsers) = (&run.parts.store, &run.parts.parsers);
    let Some(version) = store.poorly_read(&run.plan.collection, document, local::SERVICE)? else {
        return Ok(false);
    };
    if parsers.first.reads_more_than(&version) {
        return Ok(true);
    }
    let Some(remote) = parsers.remote() else {
        return Ok(false);
    };
    let paid = || {
        let job = store.job(&job_id(remote.service(), document))?;
        anyhow::Ok(job.is_some_and(|job| job.state.is_open() && job.remote_id.is_some()))
    };
    Ok(parsers.escalation.is_some() || paid()?)
}

/// A job for bytes that came in another way has nothing left to do.
fn close_job(run: &Run, fresh: &Fresh) -> anyhow::Result<()> {
    let store = &run.parts.store;
    let id = job_id(run.parts.parsers.first.service(), &fresh.document_id);
    if let Some(job) = store.job(&id)?
        && job.state.is_open()
        && !run.plan.dry_run
    {
        store.settle_job(&id)?;
    }
    Ok(())
}

/// The bytes are in the collection under this or another path: only the path is noted.
fn already_in(run: &Run, fresh: Fresh) -> anyhow::Result<bool> {
    let (store, plan) = (&run.parts.store, &run.plan);
    let before = store.source(&plan.collection, &fresh.source.path)?;
    if !plan.dry_run {
        store.attach(
            &plan.collection,
            &fresh.document_id,
            &fresh.source,
            &fresh.tags,
        )?;
    }
    run.release(&fresh.document_id);
    close_job(run, &fresh)?;
    if before.is_some_and(|before| before.document_id == fresh.document_id) {
        run.tally.unchanged(&fresh.source.path);
    } else {
        run.tally.linked(&fresh.source.path);
    }
    Ok(true)
}
