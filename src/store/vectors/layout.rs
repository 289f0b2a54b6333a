//! Where the parts of a vector file are.

use std::ops::Range;

use super::HEADER;

/// Where codes and vectors begin is a multiple of this.
const LINE: usize = 64;

/// Where the parts of a file with `count` vectors are.
#[derive(Clone, Copy)]
pub struct Layout {
    pub dimension: usize,
    pub count: usize,
    /// Bytes before the steps, ...
    pub steps: usize,
    /// ... before the codes, ...
    pub codes: usize,
    /// ... before the vectors, ...
    pub vectors: usize,
    /// ... and in the file.
    pub end: usize,
}

impl Layout {
    /// `None` for numbers no file can have.
    pub fn of(count: usize, dimension: usize) -> Option<Self> {
        let cells = count.checked_mul(dimension)?;
        let steps = count.checked_mul(8)?.checked_add(HEADER)?;
        let codes = count.checked_mul(4)?.checked_add(steps)?;
        let codes = codes.checked_next_multiple_of(LINE)?;
        let vectors = codes.checked_add(cells)?.checked_next_multiple_of(LINE)?;
        Some(Self {
            dimension,
            count,
            steps,
            codes,
            vectors,
            end: cells.checked_mul(4)?.checked_add(vectors)?,
        })
    }

    pub fn code(&self, index: usize) -> Range<usize> {
        let start = self.codes + self.dimension * index;
        start..start + self.dimension
    }

    pub fn vector(&self, index: usize) -> Range<usize> {
        let start = self.vectors + 4 * self.dimension * index;
        start..start + 4 * self.dimension
    }
}
