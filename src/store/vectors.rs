//! A flat vector file: a memory-mapped copy of the vectors of a range of chunks. All are looked at in 8 bits,
//! the best of them scored in f32.
//!
//! Layout, little endian: a header of [`HEADER`] bytes, `count` chunk ids (i64, ascending), `count`
//! steps (f32), `count` codes of `dimension` bytes ([`super::codes`]), `count` vectors of `dimension`
//! f32; codes and vectors begin at multiples of 64. The header holds the BLAKE3 of the ids and that of
//! all behind them, and ends with its own. Opening the file checks header and ids; the rest is checked
//! by `verify`, and by what vectors score: no dot product of unit vectors is beyond 1.

mod layout;
mod rows;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;
use rayon::prelude::*;

use super::Collection;
use super::best::{Best, dot};
use super::codes::Asked;
use super::mapped::{self, FRONT, Front, array};
use super::parts::{FromDatabase, Job, Part};
use layout::Layout;

pub use rows::Rows;
#[cfg(test)]
pub use tests::write as write_rows;

const MAGIC: &[u8; 8] = b"SQLVEC\x00\x04";
/// Magic and front, dimension, count, checksums of ids, of the rest, and of the header.
const HEADER: usize = FRONT + 8 + 8 + 32 + 32 + 32;
const SUMS: usize = FRONT + 16;
/// Vectors scanned at once; a file of no more is scanned by one thread.
const SPAN: usize = 32_768;

/// A mapped vector file that belongs to a collection's model.
pub struct VectorFile {
    map: Mmap,
    layout: Layout,
    front: Front,
}

impl Part for VectorFile {
    const FOLDER: &'static str = "vectors";
    const KIND: &'static str = "vector file";

    fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>> {
        let Some((map, front)) = mapped::open_part(path, MAGIC, HEADER, collection)? else {
            return Ok(None);
        };
        let dimension = u64::from_le_bytes(array(&map, FRONT)) as usize;
        let count = u64::from_le_bytes(array(&map, FRONT + 8)) as usize;
        ensure!(
            dimension == collection.model.dimension,
            "its vectors have another length"
        );
        let layout = Layout::of(count, dimension).context("it is too large")?;
        ensure!(map.len() == layout.end, "it is truncated");
        let ids = blake3::hash(&map[HEADER..layout.steps]);
        ensure!(
            *ids.as_bytes() == map[SUMS..SUMS + 32],
            "its chunk ids are damaged"
        );
        Ok(Some(Self { map, layout, front }))
    }

    fn seal_of(path: &Path) -> Option<[u8; 32]> {
        mapped::seal(path, MAGIC, HEADER)
    }

    fn front(&self) -> &Front {
        &self.front
    }

    fn len(&self) -> usize {
        self.layout.count
    }

    fn holds(&self, chunk: i64) -> bool {
        self.position(chunk).is_some()
    }

    fn verify(&self) -> anyhow::Result<()> {
        let hash = blake3::hash(&self.map[self.layout.steps..]);
        ensure!(
            *hash.as_bytes() == self.map[SUMS + 32..SUMS + 64],
            "its vectors are damaged"
        );
        Ok(())
    }
}

impl FromDatabase for VectorFile {
    fn write(job: &Job<'_, Self>) -> anyhow::Result<()> {
        write::write(job)
    }
}

impl VectorFile {
    /// The chunk id of vector `index`.
    pub fn chunk(&self, index: usize) -> i64 {
        i64::from_le_bytes(array(&self.map, HEADER + 8 * index))
    }

    /// The vector of `chunk`, if it is in the file.
    pub fn vector(&self, chunk: i64) -> Option<&[f32]> {
        self.position(chunk).map(|index| self.at(index))
    }

    fn position(&self, chunk: i64) -> Option<usize> {
        let index = self.first_after(chunk.saturating_sub(1));
        (index < self.len() && self.chunk(index) == chunk).then_some(index)
    }

    /// The first vector whose chunk has a higher id.
    pub fn first_after(&self, chunk: i64) -> usize {
        mapped::first_not(self.layout.count, |index| self.chunk(index) <= chunk)
    }

    /// Vector number `index`.
    pub fn at(&self, index: usize) -> &[f32] {
        let bytes = &self.map[self.layout.vector(index)];
        let (before, floats, after) = {
            // SAFETY: every bit pattern is an f32; `align_to` itself checks the alignment.
            unsafe { bytes.align_to::<f32>() }
        };
        debug_assert!(
            before.is_empty() && after.is_empty(),
            "vectors begin at multiples of 4"
        );
        floats
    }

    /// Scores the vectors of chunks beyond `after` that pass `wanted`: all by their codes, and in f32
    /// twice as many of the best as are asked for.
    pub fn scan(
        &self,
        query: &[f32],
        after: i64,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        best: &mut Best,
    ) {
        let asked = Asked::new(query);
        let most = 2 * best.room() + 64;
        let starts = (self.first_after(after)..self.len()).step_by(SPAN);
        let spans: Vec<Range<usize>> = starts.map(|at| at..(at + SPAN).min(self.len())).collect();
        let look = |span: &Range<usize>| self.look(&asked, span.clone(), wanted, most);
        let looks: Vec<Vec<usize>> = match spans.len() {
            0 | 1 => spans.iter().map(look).collect(),
            _ => spans.par_iter().map(look).collect(),
        };
        let mut promising = Best::new(most);
        for index in looks.into_iter().flatten() {
            promising.push(index as i64, self.first_look(&asked, index));
        }
        for found in promising.into_sorted() {
            let index = found.chunk as usize;
            let score = dot(query, self.at(index));
            best.doubt(score);
            best.push(self.chunk(index), score);
        }
    }

    /// The indexes in `span` that look best.
    fn look(
        &self,
        asked: &Asked,
        span: Range<usize>,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        most: usize,
    ) -> Vec<usize> {
        let mut best = Best::new(most);
        for index in span {
            let score = self.first_look(asked, index);
            if best.would_take(score) && wanted(self.chunk(index)) {
                best.push(index as i64, score);
            }
        }
        let found = best.into_sorted().into_iter();
        found.map(|scored| scored.chunk as usize).collect()
    }

    /// The code of vector `index`, and what a step of it stands for.
    pub fn code(&self, index: usize) -> (&[u8], f32) {
        let step = f32::from_le_bytes(array(&self.map, self.layout.steps + 4 * index));
        (&self.map[self.layout.code(index)], step)
    }

    fn first_look(&self, asked: &Asked, index: usize) -> f32 {
        let (code, step) = self.code(index);
        asked.score(code, step)
    }
}
