//! Pages to stored chunks: clean, split, embed, put. Embedding and storing run side by side.

use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Fresh, Halt, QUEUE, Run, identity};
use crate::chunk::{self, Cut, Limits};
use crate::document::{Page, Parsed, Verdict};
use crate::embed::{Embedder, Role};
use crate::parse::Parser;
use crate::store::{Entry, IndexedChunk, Origin, Stored};

/// Chunks stored before they get index files: searches meanwhile look at those without one by one.
const REFRESH: usize = 4096;

/// Documents with text looked at before the model of a new collection is chosen.
const FIRST_DOCUMENTS: usize = 8;
/// Documents without text tell nothing, but do not put the choice off for ever.
const MOST_LOOKED_AT: usize = 64;
/// Characters looked at of each.
const SAMPLE: usize = 10_000;

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
    /// `None` until the first documents have shown which one suits the collection.
    embedder: Option<Arc<dyn Embedder>>,
}

impl Indexer {
    pub fn new(run: Arc<Run>, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { run, embedder }
    }

    /// Works until the queue ends; a document being embedded when the run stops is left out whole.
    pub fn run(mut self, mut queue: mpsc::Receiver<Ready>) -> anyhow::Result<()> {
        let (to_store, store_queue) = std::sync::mpsc::sync_channel::<(Fresh, Entry)>(QUEUE);
        let run = Arc::clone(&self.run);
        let storing = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                let mut late = 0;
                for (fresh, entry) in store_queue {
                    late += entry.chunks.len();
                    store(&run, &fresh, entry);
                    if late >= REFRESH && !run.parts.stop.is_cancelled() {
                        late = 0;
                        refresh(&run);
                    }
                }
            })?;
        let (mut first, mut telling) = (Vec::new(), 0);
        while self.embedder.is_none() && telling < FIRST_DOCUMENTS && first.len() < MOST_LOOKED_AT {
            let Some(ready) = queue.blocking_recv() else {
                break;
            };
            telling += usize::from(sample(&ready.parsed).contains(char::is_alphabetic));
            first.push(ready);
        }
        if let (None, false) = (&self.embedder, first.is_empty()) {
            self.embedder = self.choose(&first);
        }
        // A short document keeps one core busy at most, so there is one at work for each.
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let waiting = Mutex::new((first.into_iter(), queue));
        let next = || {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let (first, queue) = &mut *waiting;
            first.next().or_else(|| queue.blocking_recv())
        };
        std::thread::scope(|scope| -> anyhow::Result<()> {
            for _ in 0..workers {
                std::thread::Builder::new()
                    .name("embed".into())
                    .spawn_scoped(scope, || self.work(&next, &to_store))?;
            }
            Ok(())
        })?;
        drop(to_store);
        storing
            .join()
            .map_err(|_| anyhow::anyhow!("the storing thread crashed"))
    }

    /// Takes documents until there are no more.
    fn work(&self, next: &dyn Fn() -> Option<Ready>, to_store: &SyncSender<(Fresh, Entry)>) {
        while let Some(ready) = next() {
            let path = ready.fresh.source.path.clone();
            let Some(embedder) = &self.embedder else {
                self.run.tally.parked(&path, None);
                continue;
            };
            match self.index(&**embedder, ready) {
                Ok(Some(entry)) => {
                    if to_store.send(entry).is_err() {
                        return;
                    }
                }
                Ok(None) => self.run.tally.parked(&path, None),
                Err(error) => {
                    let error = error.context(format!("embedding {path}"));
                    self.run.halt(Halt::Fatal(error));
                    return;
                }
            }
        }
    }

    /// Makes the collection with the model that suits its first documents. `None` when it cannot be
    /// made, which ends the run.
    fn choose(&self, first: &[Ready]) -> Option<Arc<dyn Embedder>> {
        let Run { parts, plan, .. } = &*self.run;
        if parts.stop.is_cancelled() {
            return None;
        }
        let texts: Vec<String> = first.iter().map(|ready| sample(&ready.parsed)).collect();
        let (embedder, why) = parts.models.choose(texts.iter().map(String::as_str));
        let model = identity(&*embedder);
        match parts.store.open_collection(&plan.collection, &model) {
            Ok(_) => {
                self.run.tally.model_chosen(&model.name, &why);
                Some(embedder)
            }
            Err(error) => {
                self.run.halt(Halt::Fatal(error));
                None
            }
        }
    }

    /// The entry to store, or `None` when the run was stopped meanwhile.
    fn index(
        &self,
        embedder: &dyn Embedder,
        ready: Ready,
    ) -> anyhow::Result<Option<(Fresh, Entry)>> {
        let Ready {
            fresh,
            mut parsed,
            by,
        } = ready;
        for page in &mut parsed.pages {
            tidy(page);
        }
        let (path, start) = (&fresh.source.path, Instant::now());
        let stop = &self.run.parts.stop;
        let chunks = index_pages(embedder, &parsed.pages, stop, &mut |done, total| {
            self.run.tally.embedding(path, done, total);
        })?;
        let Some(chunks) = chunks else {
            return Ok(None);
        };
        self.run.tally.took(path, "embed", start);
        let entry = Entry {
            collection: self.run.plan.collection.clone(),
            document_id: fresh.document_id.clone(),
            sources: vec![fresh.source.clone()],
            tags: fresh.tags.clone(),
            service: by.service().to_owned(),
            parser: by.version().to_owned(),
            parsed,
            chunks,
            origin: match self.run.takes_jobs {
                true => Origin::Job,
                false => Origin::File,
            },
        };
        Ok(Some((fresh, entry)))
    }
}

/// The beginning of what can be read of a document, enough to see its script.
pub fn sample(parsed: &Parsed) -> String {
    let readable = parsed
        .pages
        .iter()
        .filter(|page| page.verdict == Verdict::Ok);
    let texts = readable.map(|page| page.text.as_str());
    texts.flat_map(str::chars).take(SAMPLE).collect()
}

/// Cuts pages into chunks and embeds those of pages the model reads. `heard` is told how many of
/// how many are embedded. `None` when `stop` rang meanwhile.
pub fn index_pages(
    embedder: &dyn Embedder,
    pages: &[Page],
    stop: &CancellationToken,
    heard: &mut dyn FnMut(usize, usize),
) -> anyhow::Result<Option<Vec<IndexedChunk>>> {
    let limits = Limits::for_model(embedder.max_tokens());
    let (read, unread): (Vec<Bodied<'_>>, Vec<Bodied<'_>>) = pages
        .iter()
        .zip(chunk::bodies(pages))
        .filter(|(page, _)| page.verdict != Verdict::Garbled)
        .partition(|(page, _)| embedder.understands(&page.text));
    let split = |pages: &[Bodied<'_>], count: &dyn Fn(&str) -> usize| -> Vec<Cut> {
        let split = |(page, body): &Bodied<'_>| chunk::split(page, body.clone(), limits, count);
        pages.iter().flat_map(split).collect()
    };
    // Once the run is stopped the result is thrown away, so do not tokenize a large page for it.
    let chunks = split(&read, &|text| match stop.is_cancelled() {
        true => 1,
        false => embedder.count_tokens(text),
    });
    let by_words = split(&unread, &|text| {
        text.chars().count().div_ceil(CHARS_A_TOKEN)
    });
    let total = chunks.len();
    let with = |cut: &Cut, vector| IndexedChunk {
        chunk: cut.chunk.clone(),
        vector,
    };
    let mut indexed = Vec::with_capacity(total + by_words.len());
    for batch in chunks.chunks(embedder.at_once()) {
        if stop.is_cancelled() {
            return Ok(None);
        }
        heard(indexed.len(), total);
        let texts: Vec<&str> = batch.iter().map(|cut| cut.searched.as_str()).collect();
        let vectors = embedder.embed(&texts, Role::Passage)?;
        let pairs = batch.iter().zip(vectors);
        indexed.extend(pairs.map(|(chunk, vector)| with(chunk, Some(vector))));
    }
    indexed.extend(by_words.iter().map(|chunk| with(chunk, None)));
    Ok(Some(indexed))
}

/// A page and the byte range between its header and footer.
type Bodied<'a> = (&'a Page, Range<usize>);

/// Cleans a page's text; a page that has none left is empty, whatever the parser thought.
fn tidy(page: &mut Page) {
    page.text = chunk::normalise(&page.text);
    if page.text.is_empty() && page.verdict == Verdict::Ok {
        page.verdict = Verdict::Empty;
    }
}

fn refresh(run: &Run) {
    let store = &*run.parts.store;
    match store.collection(&run.plan.collection) {
        Ok(Some(collection)) => super::refresh(store, &collection),
        Ok(None) => {}
        Err(error) => run.halt(Halt::Fatal(error)),
    }
}

fn store(run: &Run, fresh: &Fresh, entry: Entry) {
    let start = Instant::now();
    match run.parts.store.put(&entry) {
        // Who removed it does not wait for it.
        Ok(Stored::Unwanted) => run.tally.given_up(&fresh.source.path),
        Ok(stored) => {
            run.tally.took(&fresh.source.path, "store", start);
            run.tally.indexed(&entry, stored == Stored::Replaced);
            for other in run.release(&fresh.document_id) {
                let attached = run.parts.store.attach(
                    &run.plan.collection,
                    &fresh.document_id,
                    &other,
                    &fresh.tags,
                );
                match attached {
                    Ok(true) => run.tally.linked(&other.path),
                    Ok(false) => run.tally.given_up(&other.path),
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
