//! A posting file: for each term the chunks of a range that hold it, and how often. Memory-mapped and
//! searched in place.
//!
//! Layout, little endian: a header of [`HEADER`] bytes; the chunk ids (i64, ascending); the chunks'
//! lengths in tokens (u32); for each term the places of its chunks among those (u32, ascending) and its
//! occurrences in each (u8, 255 for more), filled up to a multiple of 4; a record for each term, terms
//! ascending, and one more; the terms, those in headings a second time behind a
//! `#`, and the script as `#`. The header holds the BLAKE3 of ids and lengths and that of all
//! behind them, and ends with its own. Opening the file checks header, ids and lengths; `verify` the
//! rest. Terms are those of [`crate::terms`].

mod build;
mod search;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;

use super::Collection;
use super::mapped::{self, FRONT, Front, array};
use super::parts::{FromDatabase, Job, Part};

pub use build::{SCRIPT, counted, in_heading};
pub use search::Asked;

const MAGIC: &[u8; 8] = b"SQLPST\x00\x03";
/// Magic and front; numbers of chunks, of terms, of tokens; where the records begin; the mean length
/// that bounds hold for, and 4 bytes; checksums of ids and lengths, of the rest, and of the header.
const HEADER: usize = FRONT + 5 * 8 + 32 + 32 + 32;
const SUMS: usize = FRONT + 5 * 8;
/// Bytes of a record: where its lists are (u64), their length (u32), the most that a chunk of them adds
/// of the term's weight (f32), where its name begins (u32), and 4 bytes.
const RECORD: usize = 24;

/// A mapped posting file.
pub struct Postings {
    map: Mmap,
    front: Front,
    chunks: usize,
    terms: usize,
    records: usize,
    /// Tokens of all its chunks.
    pub tokens: u64,
    /// Up to this mean length of chunks the bounds of its terms hold.
    mean: f32,
}

/// The chunks that hold a term.
#[derive(Clone, Copy)]
pub struct List<'f> {
    /// Places in the file's chunks, ascending.
    pub places: &'f [u32],
    /// Occurrences in each.
    pub counts: &'f [u8],
    /// The most that one adds of the term's weight.
    pub bound: f32,
}

impl Part for Postings {
    const FOLDER: &'static str = "postings";
    const KIND: &'static str = "posting file";

    fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>> {
        let Some((map, front)) = mapped::open_part(path, MAGIC, HEADER, collection)? else {
            return Ok(None);
        };
        let number = |index: usize| u64::from_le_bytes(array(&map, FRONT + 8 * index)) as usize;
        let (chunks, terms, records) = (number(0), number(1), number(3));
        let lists = chunks.checked_mul(12).context("it is too large")? + HEADER;
        let names = terms.checked_add(1).and_then(|n| n.checked_mul(RECORD));
        let names = names.and_then(|size| size.checked_add(records));
        ensure!(
            lists <= records && names.is_some_and(|names| names <= map.len()),
            "it is truncated"
        );
        let sum = blake3::hash(&map[HEADER..lists]);
        ensure!(
            *sum.as_bytes() == map[SUMS..SUMS + 32],
            "its chunks are damaged"
        );
        Ok(Some(Self {
            chunks,
            terms,
            records,
            tokens: number(2) as u64,
            mean: f32::from_le_bytes(array(&map, FRONT + 32)),
            front,
            map,
        }))
    }

    fn seal_of(path: &Path) -> Option<[u8; 32]> {
        mapped::seal(path, MAGIC, HEADER)
    }

    fn front(&self) -> &Front {
        &self.front
    }

    fn len(&self) -> usize {
        self.chunks
    }

    fn holds(&self, chunk: i64) -> bool {
        self.place(chunk).is_some()
    }

    fn verify(&self) -> anyhow::Result<()> {
        let sum = blake3::hash(&self.map[HEADER + 12 * self.chunks..]);
        ensure!(
            *sum.as_bytes() == self.map[SUMS + 32..SUMS + 64],
            "its lists are damaged"
        );
        Ok(())
    }
}

impl FromDatabase for Postings {
    fn write(job: &Job<'_, Self>) -> anyhow::Result<()> {
        build::write(job)
    }
}

impl Postings {
    /// The id of the chunk at `place`.
    pub fn chunk(&self, place: usize) -> i64 {
        i64::from_le_bytes(array(&self.map, HEADER + 8 * place))
    }

    /// Where a chunk is in the file.
    pub fn place(&self, chunk: i64) -> Option<usize> {
        let low = mapped::first_not(self.chunks, |middle| self.chunk(middle) < chunk);
        (low < self.chunks && self.chunk(low) == chunk).then_some(low)
    }

    /// Tokens of the chunk at `place`.
    fn length(&self, place: usize) -> u32 {
        u32::from_le_bytes(array(&self.map, HEADER + 8 * self.chunks + 4 * place))
    }

    /// Number of terms.
    pub fn terms(&self) -> usize {
        self.terms
    }

    fn name_at(&self, index: usize) -> usize {
        let names = self.records + (self.terms + 1) * RECORD;
        let at = self.records + index * RECORD + 16;
        names + u32::from_le_bytes(array(&self.map, at)) as usize
    }

    /// Term number `index`; nothing where the file is damaged.
    pub fn name(&self, index: usize) -> &[u8] {
        let name = self.name_at(index)..self.name_at(index + 1);
        self.map.get(name).unwrap_or_default()
    }

    /// The lists of term number `index`; `None` where the file is damaged.
    pub fn list(&self, index: usize) -> Option<List<'_>> {
        let record = self.records + index * RECORD;
        let at = u64::from_le_bytes(array(&self.map, record)) as usize;
        let length = u32::from_le_bytes(array(&self.map, record + 8)) as usize;
        let middle = at.checked_add(4 * length)?;
        let bytes = self.map.get(at..middle)?;
        let (before, places, after) = {
            // SAFETY: every bit pattern is a u32; `align_to` itself checks the alignment.
            unsafe { bytes.align_to::<u32>() }
        };
        (before.is_empty() && after.is_empty()).then_some(List {
            places,
            counts: self.map.get(middle..middle + length)?,
            bound: f32::from_le_bytes(array(&self.map, record + 12)),
        })
    }

    /// The lists of a term, where a chunk holds it.
    pub fn find(&self, term: &str) -> Option<List<'_>> {
        let low = mapped::first_not(self.terms, |middle| self.name(middle) < term.as_bytes());
        let is_it = low < self.terms && self.name(low) == term.as_bytes();
        is_it.then(|| self.list(low)).flatten()
    }
}
