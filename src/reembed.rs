//! Makes a collection anew with another model, from the pages it holds: nothing is parsed again, and
//! the old collection answers until the new one is whole.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::embed::{Embedder, Models};
use crate::error::Error;
use crate::ingest::{identity, index_pages, sample};
use crate::store::{Collection, DocumentRow, Store};
use crate::usage;

/// Documents looked at to choose a model.
const SAMPLE: usize = 200;

/// What became of the collection.
#[derive(Debug, Serialize)]
pub struct Reembedded {
    pub collection: String,
    pub was: String,
    pub model: String,
    /// Why this model.
    pub why: String,
    /// `false` when the collection had it already.
    pub changed: bool,
    pub documents: u64,
    pub chunks: u64,
}

/// Embeds every document of `name` with the model the user named, or the one that suits its pages.
/// `heard` is told how many of how many documents are done. When `stop` rings, what is done is kept
/// for the next run.
///
/// # Errors
/// A usage error when there is no such collection; those of the model and the store.
pub fn reembed(
    store: &dyn Store,
    name: &str,
    models: &Models,
    stop: &CancellationToken,
    heard: &dyn Fn(usize, usize),
) -> anyhow::Result<Reembedded> {
    loop {
        let old = store
            .collection(name)?
            .ok_or_else(|| usage!("there is no collection '{name}'"))?;
        let documents = store.documents(name, "")?;
        let (embedder, why) = choose(store, name, models, &documents)?;
        let mut report = Reembedded {
            collection: name.to_owned(),
            was: old.model.name.clone(),
            model: embedder.name().to_owned(),
            why,
            changed: identity(&*embedder) != old.model,
            documents: documents.len() as u64,
            chunks: documents.iter().map(|row| u64::from(row.chunks)).sum(),
        };
        if !report.changed {
            forget_unfinished(store, name)?;
            return Ok(report);
        }
        let new = open_workplace(store, name, &*embedder)?;
        forget_stale(store, name, &new, &documents)?;
        report.chunks = 0;
        for (row, number) in documents.iter().zip(0..) {
            heard(number, documents.len());
            report.chunks += embed(store, &old, &new, row, &*embedder, stop)?;
        }
        heard(documents.len(), documents.len());
        store.refresh(&new, false)?;
        // A server may have noted another path meanwhile; what is done is not done again.
        if store.replace_collection(&old, &new)? {
            return Ok(report);
        }
    }
}

/// The model, and why: the user's word, or the script of the stored pages.
fn choose(
    store: &dyn Store,
    name: &str,
    models: &Models,
    documents: &[DocumentRow],
) -> anyhow::Result<(std::sync::Arc<dyn Embedder>, String)> {
    let mut texts = Vec::new();
    if models.asked().is_none() {
        for row in documents.iter().take(SAMPLE) {
            let entry = store.entry(name, &row.document_id)?;
            texts.extend(entry.map(|entry| sample(&entry.parsed)));
        }
    }
    Ok(models.choose(texts.iter().map(String::as_str)))
}

/// Drops what an interrupted run left: what is removed from a collection must not live on there.
pub fn forget_unfinished(store: &dyn Store, name: &str) -> anyhow::Result<bool> {
    store.drop_collection(&workplace(name))
}

/// The name of the collection the new vectors gather in.
fn workplace(name: &str) -> String {
    format!("{name} (being embedded anew)")
}

/// What an interrupted run left there is used.
fn open_workplace(
    store: &dyn Store,
    name: &str,
    embedder: &dyn Embedder,
) -> anyhow::Result<Collection> {
    let (place, model) = (workplace(name), identity(embedder));
    if let Some(found) = store.collection(&place)?
        && found.model != model
    {
        // Only an earlier run makes collections of this name.
        store.drop_collection(&place)?;
    }
    store.open_collection(&place, &model)
}

/// Drops what the old collection has changed or lost since an earlier run was interrupted.
fn forget_stale(
    store: &dyn Store,
    name: &str,
    new: &Collection,
    documents: &[DocumentRow],
) -> anyhow::Result<()> {
    let known = store.sources(name, "")?;
    let done = store.sources(&new.name, "")?;
    let same = |a: &DocumentRow, b: &DocumentRow| {
        (&a.document_id, &a.paths, &a.tags, &a.parser)
            == (&b.document_id, &b.paths, &b.tags, &b.parser)
    };
    for row in store.documents(&new.name, "")? {
        let mut files = done
            .iter()
            .filter(|file| file.document_id == row.document_id);
        let is_current = documents.iter().any(|current| same(current, &row))
            && files.all(|file| known.contains(file));
        if !is_current {
            store.remove(&new.name, &row.paths)?;
        }
    }
    Ok(())
}

fn damaged(row: &DocumentRow) -> Error {
    Error::Damaged(format!(
        "{} cannot be read whole from the store, nothing was changed; type `squall verify`",
        row.paths.first().map_or("a document", String::as_str)
    ))
}

/// Puts one document into the new collection, unless it is there. Returns its chunks.
fn embed(
    store: &dyn Store,
    old: &Collection,
    new: &Collection,
    row: &DocumentRow,
    embedder: &dyn Embedder,
    stop: &CancellationToken,
) -> anyhow::Result<u64> {
    if store.contains(&new.name, &row.document_id)? {
        return Ok(0);
    }
    let mut entry = store
        .entry(&old.name, &row.document_id)?
        .ok_or_else(|| damaged(row))?;
    let Some(chunks) = index_pages(embedder, &entry.parsed.pages, stop, &mut |_, _| ())? else {
        return Err(Error::Interrupted.into());
    };
    let number = chunks.len() as u64;
    entry.collection.clone_from(&new.name);
    entry.chunks = chunks;
    store.put(&entry)?;
    if stop.is_cancelled() {
        return Err(Error::Interrupted.into());
    }
    Ok(number)
}
