//! A `corpus.jsonl` as a collection of its own, kept under the hash of its content.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::chunk::normalise;
use crate::document::{DocumentId, Page, Parsed, Source, Tags, Verdict};
use crate::embed::{Embedder, Models};
use crate::error::Error;
use crate::ingest::{identity, index_pages};
use crate::store::{EmbeddedStore, Entry, Origin, Store, WriterLock};
use crate::usage;

/// The collection a corpus is put in.
pub const COLLECTION: &str = "corpus";
/// Documents embedded side by side, and looked at to choose a model.
const GROUP: usize = 32;
/// What stands where a document's parser would.
const PARSER: &str = "corpus.jsonl";

/// A document of `corpus.jsonl`.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "_id", deserialize_with = "id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

/// Some number their documents.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(id) => id,
        other => other.to_string(),
    })
}

impl Line {
    fn page_text(&self) -> String {
        normalise(&format!("{}\n\n{}", self.title, self.text))
    }
}

/// Opens the store that holds the corpus at `path`, and puts in what is missing. `heard` is told how
/// many of how many documents are in.
///
/// # Errors
/// A usage error naming the line that is wrong.
pub fn open(
    path: &Path,
    cache: &Path,
    models: &Models,
    stop: &CancellationToken,
    heard: &dyn Fn(usize, usize),
) -> anyhow::Result<EmbeddedStore> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage!("cannot read {}: {error}", path.display()))?;
    let lines = lines(&text, path)?;
    let first: Vec<String> = lines.iter().take(GROUP).map(Line::page_text).collect();
    let (embedder, _) = models.choose(first.iter().map(String::as_str));
    let folder = folder(cache, &text, &*embedder);
    EmbeddedStore::make_folder(&folder)?;
    let _turn = WriterLock::acquire(&folder, std::time::Duration::from_secs(3600), || {
        crate::present::say("squall: another squall is embedding this corpus, waiting for it");
    })?;
    let store = EmbeddedStore::open(&folder)?;
    store.open_collection(COLLECTION, &identity(&*embedder))?;
    for (group, number) in lines.chunks(GROUP).zip(0..) {
        heard(number * GROUP, lines.len());
        let entries: Vec<anyhow::Result<Option<Entry>>> = group
            .par_iter()
            .map(|line| entry(line, &store, &*embedder, stop))
            .collect();
        for entry in entries {
            if let Some(entry) = entry? {
                store.put(&entry)?;
            }
        }
        if stop.is_cancelled() {
            return Err(Error::Interrupted.into());
        }
    }
    heard(lines.len(), lines.len());
    if let Some(collection) = store.collection(COLLECTION)? {
        store.refresh(&collection, false)?;
    }
    Ok(store)
}

fn lines(text: &str, path: &Path) -> Result<Vec<Line>, Error> {
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let mut seen = HashSet::new();
    lines
        .map(|(line, number)| {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| usage!("{}:{number}: {error}", path.display()))?;
            if !seen.insert(line.id.clone()) {
                let path = path.display();
                return Err(usage!(
                    "{path}:{number}: there is a document {} already",
                    line.id
                ));
            }
            Ok(line)
        })
        .collect()
}

/// Where a corpus embedded with this model is kept.
fn folder(cache: &Path, text: &str, embedder: &dyn Embedder) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    hasher.update(identity(embedder).fingerprint.as_bytes());
    hasher.update(text.as_bytes());
    cache.join("eval").join(&hasher.finalize().to_hex()[..16])
}

/// What to store for a line; `None` when it is in, or the run was stopped.
fn entry(
    line: &Line,
    store: &EmbeddedStore,
    embedder: &dyn Embedder,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Entry>> {
    let text = line.page_text();
    // Two documents with the same text are two documents here.
    let document_id = DocumentId::of(format!("{}\n{text}", line.id).as_bytes())?;
    if stop.is_cancelled() || store.contains(COLLECTION, &document_id)? {
        return Ok(None);
    }
    let pages = vec![Page {
        number: 1,
        verdict: Verdict::Ok,
        text,
    }];
    let Some(chunks) = index_pages(embedder, &pages, stop, &mut |_, _| ())? else {
        return Ok(None);
    };
    let source = Source {
        path: line.id.clone(),
        file: PathBuf::from(&line.id),
        root: COLLECTION.into(),
        size: line.text.len() as u64,
        modified: 0,
    };
    let title = Some(line.title.clone()).filter(|title| !title.is_empty());
    Ok(Some(Entry {
        collection: COLLECTION.into(),
        document_id,
        sources: vec![source],
        tags: Tags::new(),
        service: PARSER.into(),
        parser: PARSER.into(),
        parsed: Parsed {
            pages,
            title,
            ..Parsed::default()
        },
        chunks,
        origin: Origin::File,
    }))
}
