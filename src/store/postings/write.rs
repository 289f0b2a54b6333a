//! Writing a posting file, term by term in ascending order.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::ensure;
use tempfile::NamedTempFile;

use super::{HEADER, MAGIC};
use crate::store::Collection;
use crate::store::bm25::Impact;
use crate::store::mapped::{self, Reach, Summed};

/// Bounds hold until chunks are this much longer in the mean than those in the file.
const HEADROOM: f32 = 1.25;

/// A posting file on its way.
pub struct Writer<'a> {
    out: Summed<BufWriter<std::fs::File>>,
    file: NamedTempFile,
    lengths: &'a [u32],
    chunks: blake3::Hash,
    at: usize,
    mean: f32,
    records: Vec<u8>,
    names: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins the file that is to be at `path`, of chunks with these ids and lengths.
    pub fn begin(path: &Path, ids: &[i64], lengths: &'a [u32]) -> anyhow::Result<Self> {
        let file = mapped::begin(path)?;
        let mut out = Summed {
            out: BufWriter::with_capacity(1 << 18, file.reopen()?),
            sum: blake3::Hasher::new(),
        };
        // Room for the header, which is known last.
        out.out.write_all(&[0; HEADER])?;
        for id in ids {
            out.write(&id.to_le_bytes())?;
        }
        for length in lengths {
            out.write(&length.to_le_bytes())?;
        }
        let chunks = std::mem::take(&mut out.sum).finalize();
        let tokens: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        Ok(Self {
            out,
            file,
            lengths,
            chunks,
            at: HEADER + 12 * ids.len(),
            mean: HEADROOM * tokens as f32 / ids.len().max(1) as f32,
            records: Vec::new(),
            names: Vec::new(),
        })
    }

    /// Adds a term, greater than those before, with its lists.
    pub fn term(&mut self, name: &[u8], places: &[u32], counts: &[u8]) -> anyhow::Result<()> {
        let impact = Impact::new(self.mean);
        let each = places.iter().zip(counts);
        let bound = each
            .map(|(&place, &count)| impact.of(f32::from(count), self.lengths[place as usize]))
            .fold(0.0, f32::max);
        self.record(places.len() as u32, bound);
        self.names.extend(name);
        for place in places {
            self.out.write(&place.to_le_bytes())?;
        }
        self.out.write(counts)?;
        let end = self.at + 5 * places.len();
        self.at = end.next_multiple_of(4);
        Ok(self.out.write(&[0; 3][..self.at - end])?)
    }

    fn record(&mut self, length: u32, bound: f32) {
        self.records.extend((self.at as u64).to_le_bytes());
        self.records.extend(length.to_le_bytes());
        self.records.extend(bound.to_le_bytes());
        self.records.extend((self.names.len() as u32).to_le_bytes());
        self.records.extend([0; 4]);
    }

    /// Writes the rest and returns the file, which is not at its path yet, with the header's bytes.
    pub fn end(
        mut self,
        collection: &Collection,
        reach: Reach,
    ) -> anyhow::Result<(NamedTempFile, Vec<u8>)> {
        let terms = self.records.len() / super::RECORD;
        self.record(0, 0.0);
        ensure!(u32::try_from(self.names.len()).is_ok(), "too many terms");
        self.out.write(&self.records)?;
        self.out.write(&self.names)?;
        self.out.out.flush()?;
        let tokens: u64 = self.lengths.iter().map(|&length| u64::from(length)).sum();
        let mut head = mapped::front(MAGIC, collection, reach);
        for number in [
            self.lengths.len() as u64,
            terms as u64,
            tokens,
            self.at as u64,
        ] {
            head.extend(number.to_le_bytes());
        }
        head.extend(self.mean.to_le_bytes());
        head.extend([0; 4]);
        head.extend(self.chunks.as_bytes());
        head.extend(self.out.sum.finalize().as_bytes());
        Ok((self.file, head))
    }
}
