//! Making a posting file: chunks are read from the database in runs that fit into memory, and runs and
//! earlier files merged.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use super::write::Writer;
use super::{Part as _, Postings};
use crate::store::Collection;
use crate::store::mapped::{self, Reach};
use crate::store::parts::Job;
use crate::store::texts::each_text;
use crate::terms::{heading_terms, terms};
use crate::text::Script;

/// Chunks of a run: some 50 MB.
const RUN: usize = 65_536;
/// Chunks taken apart at once by all cores.
const BATCH: usize = 512;

/// Lists by term, terms ascending.
trait Lists {
    fn chunks(&self) -> usize;
    /// Id and length of the chunk at `place`.
    fn chunk(&self, place: usize) -> (i64, u32);
    fn terms(&self) -> usize;
    fn name(&self, index: usize) -> &[u8];
    /// Places and occurrences.
    fn list(&self, index: usize) -> (&[u32], &[u8]);
}

/// Places of chunks, and occurrences in each.
type Pair = (Vec<u32>, Vec<u8>);

/// The lists of chunks just read.
#[derive(Default)]
struct Run {
    /// Id and length of each.
    chunks: Vec<(i64, u32)>,
    lists: HashMap<Box<str>, Pair>,
}

/// A run that has ended.
struct Sorted {
    chunks: Vec<(i64, u32)>,
    lists: Vec<(Box<str>, Pair)>,
}

impl Run {
    /// Adds chunks with greater ids than those before.
    fn add(&mut self, texts: &[(i64, String)]) {
        let counted: Vec<(u32, HashMap<String, u8>)> =
            texts.par_iter().map(|(_, text)| counted(text)).collect();
        for ((id, _), (length, counts)) in texts.iter().zip(counted) {
            let place = self.chunks.len() as u32;
            self.chunks.push((*id, length));
            for (term, count) in counts {
                let (places, counts) = self.lists.entry(term.into()).or_default();
                places.push(place);
                counts.push(count);
            }
        }
    }

    fn end(self) -> Sorted {
        let mut lists: Vec<_> = self.lists.into_iter().collect();
        lists.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Sorted {
            chunks: self.chunks,
            lists,
        }
    }
}

/// The name of the list of chunks with CJK letters, or without any letters; their [`Script`] stands for
/// the number of occurrences. No term is that.
pub const SCRIPT: &str = "#";

/// Number of terms in a text, and how often each occurs; those of headings stand there a second time
/// as [`in_heading`] spells them, and the script as [`SCRIPT`].
pub fn counted(text: &str) -> (u32, HashMap<String, u8>) {
    let all = terms(text);
    let length = all.len() as u32;
    let mut counts: HashMap<String, u8> = HashMap::with_capacity(all.len());
    for term in all {
        let count = counts.entry(term).or_default();
        *count = count.saturating_add(1);
    }
    for term in heading_terms(text) {
        counts.insert(in_heading(&term), 1);
    }
    let script = Script::of(text).byte();
    if script > 0 {
        counts.insert(SCRIPT.to_owned(), script);
    }
    (length, counts)
}

/// The name of the list of chunks that have a term in a heading. No term begins with a `#`.
pub fn in_heading(term: &str) -> String {
    format!("#{term}")
}

impl Lists for Sorted {
    fn chunks(&self) -> usize {
        self.chunks.len()
    }

    fn chunk(&self, place: usize) -> (i64, u32) {
        self.chunks[place]
    }

    fn terms(&self) -> usize {
        self.lists.len()
    }

    fn name(&self, index: usize) -> &[u8] {
        self.lists[index].0.as_bytes()
    }

    fn list(&self, index: usize) -> (&[u32], &[u8]) {
        let (places, counts) = &self.lists[index].1;
        (places, counts)
    }
}

impl Lists for Postings {
    fn chunks(&self) -> usize {
        self.chunks
    }

    fn chunk(&self, place: usize) -> (i64, u32) {
        (self.chunk(place), self.length(place))
    }

    fn terms(&self) -> usize {
        self.terms
    }

    fn name(&self, index: usize) -> &[u8] {
        self.name(index)
    }

    fn list(&self, index: usize) -> (&[u32], &[u8]) {
        let list = self.list(index);
        list.map_or((&[], &[]), |list| (list.places, list.counts))
    }
}

/// Writes what `job.reach` holds: the lists of `job.parts`, if they are sound, and beyond them those of
/// the database.
pub fn write(job: &Job<'_, Postings>) -> anyhow::Result<()> {
    // What is merged gets new checksums.
    let damage = job.parts.iter().find_map(|part| part.verify().err());
    if let Some(damage) = &damage {
        tracing::warn!("a posting file is damaged ({damage:#}) and made anew from the database");
    }
    let parts = match damage {
        Some(_) => &[],
        None => job.parts,
    };
    let covers = parts
        .last()
        .map_or(job.reach.after, |part| part.front().reach.to);
    let fresh = Reach {
        after: covers,
        to: job.reach.to,
    };
    let mut spilled: Vec<(tempfile::NamedTempFile, Postings)> = Vec::new();
    let mut run = Run::default();
    let mut batch: Vec<(i64, String)> = Vec::with_capacity(BATCH);
    each_text(job.db, job.collection.id, fresh, &mut |id, text| {
        batch.push((id, text.to_owned()));
        if batch.len() == BATCH {
            run.add(&batch);
            batch.clear();
        }
        if run.chunks.len() >= RUN {
            spilled.push(spill(std::mem::take(&mut run).end(), job)?);
        }
        Ok(())
    })?;
    run.add(&batch);
    let last = run.end();
    let mut sources: Vec<&dyn Lists> = Vec::new();
    sources.extend(parts.iter().map(|part| &**part as &dyn Lists));
    sources.extend(spilled.iter().map(|(_, run)| run as &dyn Lists));
    sources.push(&last);
    let (file, head) = merge(&sources, job.dead, job.path, job.collection, job.reach)?;
    mapped::finish(file, &head, job.path)
}

/// Puts a run into a file of its own, which goes away with its handle.
fn spill(
    run: Sorted,
    job: &Job<'_, Postings>,
) -> anyhow::Result<(tempfile::NamedTempFile, Postings)> {
    let (file, head) = merge(
        &[&run],
        &HashSet::new(),
        job.path,
        job.collection,
        job.reach,
    )?;
    mapped::seal_with(file.as_file(), &head)?;
    let opened = Postings::open(file.path(), job.collection)?;
    let opened = opened.ok_or_else(|| anyhow::anyhow!("a run is gone"))?;
    Ok((file, opened))
}

/// Merges `sources`, whose chunks follow each other, without those that are `dead`.
fn merge(
    sources: &[&dyn Lists],
    dead: &HashSet<i64>,
    path: &Path,
    collection: &Collection,
    reach: Reach,
) -> anyhow::Result<(tempfile::NamedTempFile, Vec<u8>)> {
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    let mut places: Vec<Vec<Option<u32>>> = Vec::with_capacity(sources.len());
    for source in sources {
        let chunks = (0..source.chunks()).map(|place| {
            let (id, length) = source.chunk(place);
            (!dead.contains(&id)).then(|| {
                ids.push(id);
                lengths.push(length);
                ids.len() as u32 - 1
            })
        });
        places.push(chunks.collect());
    }
    let mut writer = Writer::begin(path, &ids, &lengths)?;
    let mut next: BinaryHeap<Reverse<(&[u8], usize, usize)>> = BinaryHeap::new();
    let first = |source: usize, index: usize| {
        let lists = sources[source];
        (index < lists.terms()).then(|| Reverse((lists.name(index), source, index)))
    };
    next.extend((0..sources.len()).filter_map(|source| first(source, 0)));
    let (mut merged, mut counts) = (Vec::new(), Vec::new());
    while let Some(&Reverse((name, ..))) = next.peek() {
        merged.clear();
        counts.clear();
        while let Some(&Reverse((same, source, index))) = next.peek()
            && same == name
        {
            next.pop();
            next.extend(first(source, index + 1));
            let (from, times) = sources[source].list(index);
            for (&place, &count) in from.iter().zip(times) {
                if let Some(&Some(place)) = places[source].get(place as usize) {
                    merged.push(place);
                    counts.push(count);
                }
            }
        }
        if !merged.is_empty() {
            writer.term(name, &merged, &counts)?;
        }
    }
    writer.end(collection, reach)
}
