//! The lexical arm: BM25 by the posting files, and by the database for chunks that are in none yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::best::Best;
use super::bm25::{Impact, weight};
use super::mapped::Reach;
use super::parts::Chain;
use super::postings::{Asked, Postings, counted};
use super::sqlite::EmbeddedStore;
use super::texts::each_text;
use super::{Collection, Frequencies, Scored};
use crate::document::Filter;

/// Chunks in no file from which searches are slow enough to say so.
const MANY: usize = 20_000;

/// A chunk that no file holds yet.
struct Late {
    chunk: i64,
    /// In tokens.
    length: u32,
    /// Occurrences of each term that is asked for.
    counts: Vec<u8>,
}

/// What is known of the terms of a question.
struct Known {
    files: Chain<Postings>,
    late: Vec<Late>,
    dead: Arc<HashSet<i64>>,
    frequencies: Frequencies,
    /// Mean length of chunks, in tokens.
    mean: f32,
}

impl EmbeddedStore {
    pub(super) fn bm25(
        &self,
        collection: &Collection,
        terms: &[String],
        filter: &Filter,
        k: usize,
    ) -> anyhow::Result<Vec<Scored>> {
        if terms.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        let known = self.known(collection, terms)?;
        let allowed = match filter.is_empty() {
            true => None,
            false => Some(self.allowed(collection, filter)?),
        };
        let wanted = |chunk: i64| {
            let is_allowed = |allowed: &Vec<i64>| allowed.binary_search(&chunk).is_ok();
            !known.dead.contains(&chunk) && allowed.as_ref().is_none_or(is_allowed)
        };
        let Frequencies { chunks, with } = &known.frequencies;
        let weights: Vec<f32> = with.iter().map(|&with| weight(*chunks, with)).collect();
        // The same order for every chunk, so that equal ones get equal sums.
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let asked: Vec<Asked<'_>> = order
            .iter()
            .map(|&index| Asked {
                term: &terms[index],
                weight: weights[index],
            })
            .collect();
        let mut best = Best::new(k);
        for file in known.files.parts() {
            file.search(&asked, known.mean, &wanted, &mut best);
        }
        let impact = Impact::new(known.mean);
        for late in known.late.iter().filter(|late| wanted(late.chunk)) {
            let held = order.iter().filter(|&&index| late.counts[index] > 0);
            let score: f32 = held
                .map(|&index| {
                    weights[index] * impact.of(f32::from(late.counts[index]), late.length)
                })
                .sum();
            if score > 0.0 {
                best.push(late.chunk, score);
            }
        }
        Ok(best.into_sorted())
    }

    pub(super) fn term_frequencies(
        &self,
        collection: &Collection,
        terms: &[String],
    ) -> anyhow::Result<Frequencies> {
        Ok(self.known(collection, terms)?.frequencies)
    }

    /// Dead chunks count, as chunks and for the frequency of terms, until the files are made anew.
    fn known(&self, collection: &Collection, terms: &[String]) -> anyhow::Result<Known> {
        let files = self.postings(collection);
        let dead = self.tombstones(collection)?;
        let late = self.late(collection, files.covers(), terms)?;
        let with = terms.iter().enumerate().map(|(index, term)| {
            let lists = files.parts().iter().filter_map(|file| file.find(term));
            let in_files: usize = lists.map(|list| list.places.len()).sum();
            let later = late.iter().filter(|late| late.counts[index] > 0).count();
            (in_files + later) as u64
        });
        let frequencies = Frequencies {
            chunks: (files.len() + late.len()) as u64,
            with: with.collect(),
        };
        let in_files: u64 = files.parts().iter().map(|file| file.tokens).sum();
        let later: u64 = late.iter().map(|late| u64::from(late.length)).sum();
        let all = (files.len() + late.len()).max(1);
        Ok(Known {
            mean: (in_files + later) as f32 / all as f32,
            files,
            late,
            dead,
            frequencies,
        })
    }

    /// Chunks beyond `covers`.
    fn late(
        &self,
        collection: &Collection,
        covers: i64,
        terms: &[String],
    ) -> anyhow::Result<Vec<Late>> {
        let reach = Reach {
            after: covers,
            to: i64::MAX,
        };
        let mut late = Vec::new();
        each_text(&self.reader(), collection.id, reach, &mut |chunk, text| {
            let (length, counts) = counted(text);
            let counts = terms
                .iter()
                .map(|term| counts.get(term).copied().unwrap_or(0));
            late.push(Late {
                chunk,
                length,
                counts: counts.collect(),
            });
            Ok(())
        })?;
        if late.len() > MANY {
            tracing::warn!(
                "{} chunks of '{}' are in no index file, which takes time; `squall optimize` makes them",
                late.len(),
                collection.name
            );
        }
        Ok(late)
    }
}
