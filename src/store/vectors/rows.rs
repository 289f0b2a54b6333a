//! The vectors of a collection, which may be in several files.

use std::sync::Arc;

use super::VectorFile;
use crate::store::best::{Best, dot};
use crate::store::mapped::Reach;
use crate::store::parts::{Chain, Part as _};

impl Chain<VectorFile> {
    /// As [`VectorFile::scan`], over all files.
    pub fn scan(
        &self,
        query: &[f32],
        after: i64,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        best: &mut Best,
    ) {
        for file in self.parts() {
            file.scan(query, after, wanted, best);
        }
    }

    /// Scores the vectors of `chunks`, those the files hold.
    pub fn score(&self, query: &[f32], chunks: &[i64], best: &mut Best) {
        for &chunk in chunks {
            let file = self.part_of(chunk);
            if let Some(vector) = file.and_then(|file| file.vector(chunk)) {
                let score = dot(query, vector);
                best.doubt(score);
                best.push(chunk, score);
            }
        }
    }

    /// Number of vectors of chunks up to and with `chunk`.
    fn count_to(&self, chunk: i64) -> usize {
        let counts = self.parts().iter().map(|file| file.first_after(chunk));
        counts.sum()
    }

    /// The vectors of the chunks within `reach`, in order.
    pub fn rows(&self, reach: Reach) -> Rows<'_> {
        let sizes = self.parts().iter().scan(0, |end, file| {
            *end += file.len();
            Some(*end)
        });
        Rows {
            files: self.parts(),
            ends: sizes.collect(),
            first: self.count_to(reach.after),
            end: self.count_to(reach.to),
        }
    }
}

/// Vectors that may be in several files, numbered from 0.
pub struct Rows<'f> {
    files: &'f [Arc<VectorFile>],
    /// Vectors up to the end of each file.
    ends: Vec<usize>,
    /// The first of those meant among all, and the first behind them.
    first: usize,
    end: usize,
}

impl<'f> Rows<'f> {
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    fn place(&self, index: usize) -> (&'f VectorFile, usize) {
        let index = self.first + index;
        let number = self.ends.partition_point(|&end| end <= index);
        let before = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.files[number], index - before)
    }

    pub fn chunk(&self, index: usize) -> i64 {
        let (file, index) = self.place(index);
        file.chunk(index)
    }

    /// See [`VectorFile::code`].
    pub fn code(&self, index: usize) -> (&'f [u8], f32) {
        let (file, index) = self.place(index);
        file.code(index)
    }
}
