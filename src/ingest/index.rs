//! Pages to stored chunks: clean, split, embed, put. Embedding and storing run side by side.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Fresh, Halt, QUEUE, Run};
use crate::chunk::{self, Limits};
use crate::document::{Chunk, Page, Parsed, Verdict};
use crate::embed::Role;
use crate::parse::Parser;
use crate::store::{Entry, IndexedChunk};
use crate::terms::terms;

/// Chunks handed to the model at once: enough for every core, few enough to report and to stop.
const BATCH: usize = 16;

/// Stands in for the tokenizer on pages the model cannot read: BERT's English vocabulary would
/// take Korean apart into jamo, and cut it into chunks of a line each. Multilingual tokenizers
/// need about a token for two Korean characters.
const CHARS_A_TOKEN: usize = 2;

/// A document with its pages, and who made them.
pub struct Ready {
    pub fresh: Fresh,
    pub parsed: Parsed,
    pub by: Arc<dyn Parser>,
}

/// The last two stages.
pub struct Indexer {
    run: Arc<Run>,
    limits: Limits,
}

impl Indexer {
    pub fn new(run: Arc<Run>) -> Self {
        let limits = Limits::for_model(run.parts.embedder.max_tokens());
        Self { run, limits }
    }

    /// Works until the queue ends; a document being embedded when the run stops is left out whole.
    pub fn run(self, mut queue: mpsc::Receiver<Ready>) -> anyhow::Result<()> {
        let (to_store, store_queue) = std::sync::mpsc::sync_channel::<(Fresh, Entry)>(QUEUE);
        let run = Arc::clone(&self.run);
        let storing = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                for (fresh, entry) in store_queue {
                    store(&run, &fresh, entry);
                }
            })?;
        while let Some(ready) = queue.blocking_recv() {
            let path = ready.fresh.source.path.clone();
            match self.index(ready) {
                Ok(Some(entry)) => {
                    if to_store.send(entry).is_err() {
                        break;
                    }
                }
                Ok(None) => self.run.tally.parked(&path, None),
                Err(error) => {
                    let error = error.context(format!("embedding {path}"));
                    self.run.halt(Halt::Fatal(error));
                    break;
                }
            }
        }
        drop(to_store);
        storing
            .join()
            .map_err(|_| anyhow::anyhow!("the storing thread crashed"))
    }

    /// The entry to store, or `None` when the run was stopped meanwhile.
    fn index(&self, ready: Ready) -> anyhow::Result<Option<(Fresh, Entry)>> {
        let Ready {
            fresh,
            mut parsed,
            by,
        } = ready;
        let embedder = &self.run.parts.embedder;
        for page in &mut parsed.pages {
            tidy(page);
        }
        let pages = parsed.pages.iter();
        let (read, unread): (Vec<&Page>, Vec<&Page>) = pages
            .filter(|page| page.verdict != Verdict::Garbled)
            .partition(|page| embedder.understands(&page.text));
        let stop = &self.run.parts.stop;
        // Once the run is stopped the result is thrown away, so do not tokenize a large page for it.
        let count = |text: &str| match stop.is_cancelled() {
            true => 1,
            false => embedder.count_tokens(text),
        };
        let chunks = self.split(&read, &count);
        let Some(mut indexed) = self.embed(&fresh, chunks)? else {
            return Ok(None);
        };
        let by_words = self.split(&unread, &|text| {
            text.chars().count().div_ceil(CHARS_A_TOKEN)
        });
        indexed.extend(by_words.into_iter().map(|chunk| with_terms(chunk, None)));
        let entry = Entry {
            collection: self.run.plan.collection.clone(),
            document_id: fresh.document_id.clone(),
            sources: vec![fresh.source.clone()],
            tags: fresh.tags.clone(),
            service: by.service().to_owned(),
            parser: by.version().to_owned(),
            parsed,
            chunks: indexed,
        };
        Ok(Some((fresh, entry)))
    }

    fn split(&self, pages: &[&Page], count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
        let split = |page: &&Page| chunk::split(page, self.limits, count);
        pages.iter().flat_map(split).collect()
    }

    /// Chunks with their vectors, or `None` when the run was stopped meanwhile.
    fn embed(
        &self,
        fresh: &Fresh,
        chunks: Vec<Chunk>,
    ) -> anyhow::Result<Option<Vec<IndexedChunk>>> {
        let total = chunks.len();
        let mut indexed = Vec::with_capacity(total);
        let mut rest = chunks.into_iter().peekable();
        while rest.peek().is_some() {
            if self.run.parts.stop.is_cancelled() {
                return Ok(None);
            }
            self.run
                .tally
                .embedding(&fresh.source.path, indexed.len(), total);
            let batch: Vec<Chunk> = rest.by_ref().take(BATCH).collect();
            let texts: Vec<&str> = batch.iter().map(|chunk| chunk.text.as_str()).collect();
            let vectors = self.run.parts.embedder.embed(&texts, Role::Passage)?;
            let pairs = batch.into_iter().zip(vectors);
            indexed.extend(pairs.map(|(chunk, vector)| with_terms(chunk, Some(vector))));
        }
        Ok(Some(indexed))
    }
}

fn with_terms(chunk: Chunk, vector: Option<Vec<f32>>) -> IndexedChunk {
    IndexedChunk {
        terms: terms(&chunk.text).join(" "),
        chunk,
        vector,
    }
}

/// Cleans a page's text; a page that has none left is empty, whatever the parser thought.
fn tidy(page: &mut Page) {
    page.text = chunk::normalise(&page.text);
    if page.text.is_empty() && page.verdict == Verdict::Ok {
        page.verdict = Verdict::Empty;
    }
}

fn store(run: &Run, fresh: &Fresh, entry: Entry) {
    match run.parts.store.put(&entry) {
        Ok(replaced) => {
            run.tally.indexed(&entry, replaced);
            for other in run.release(&fresh.document_id) {
                let attached = run.parts.store.attach(
                    &run.plan.collection,
                    &fresh.document_id,
                    &other,
                    &fresh.tags,
                );
                match attached {
                    Ok(_) => run.tally.linked(&other.path),
                    Err(error) => run.halt(Halt::Fatal(error)),
                }
            }
        }
        Err(error) => {
            let error = error.context(format!("storing {}", fresh.source.path));
            run.halt(Halt::Fatal(error));
        }
    }
}
