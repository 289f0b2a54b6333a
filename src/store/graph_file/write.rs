//! Writing a graph file.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::{CODE, HEADER, MAGIC, MOST_LAYERS, NEAR, UPPER, node_size};
use crate::store::Collection;
use crate::store::hnsw::Layers;
use crate::store::mapped::{self, Reach, Summed};
use crate::store::vectors::Rows;

/// Writes the graph of `rows`, those within `reach`, to `path`.
pub fn write(
    path: &Path,
    collection: &Collection,
    reach: Reach,
    rows: &Rows<'_>,
    layers: &Layers,
) -> anyhow::Result<()> {
    let file = mapped::begin(path)?;
    let mut out = Summed {
        out: BufWriter::new(file.reopen()?),
        sum: blake3::Hasher::new(),
    };
    // Room for the header, which is known last.
    out.out.write_all(&[0; HEADER])?;
    let dimension = collection.model.dimension;
    for (index, near) in layers.lowest.iter().enumerate() {
        let mut record = vec![0; node_size(dimension)];
        let (code, step) = rows.code(index);
        record[..8].copy_from_slice(&rows.chunk(index).to_le_bytes());
        record[8..12].copy_from_slice(&step.to_le_bytes());
        put_links(&mut record[NEAR - 4..CODE], near);
        record[CODE..CODE + dimension].copy_from_slice(code);
        out.write(&record)?;
    }
    for (node, near) in layers.upper.iter().flatten() {
        let mut record = [0; UPPER];
        record[..4].copy_from_slice(&node.to_le_bytes());
        put_links(&mut record[4..], near);
        out.write(&record)?;
    }
    out.out.flush()?;
    let mut head = mapped::front(MAGIC, collection, reach);
    head.extend((dimension as u32).to_le_bytes());
    head.extend(layers.entry.to_le_bytes());
    head.extend((layers.lowest.len() as u64).to_le_bytes());
    let counts = layers
        .upper
        .iter()
        .map(Vec::len)
        .chain(std::iter::repeat(0));
    for count in counts.take(MOST_LAYERS) {
        head.extend((count as u32).to_le_bytes());
    }
    head.extend(out.sum.finalize().as_bytes());
    mapped::finish(file, &head, path)
}

fn put_links(room: &mut [u8], near: &[u32]) {
    let numbers = std::iter::once(near.len() as u32).chain(near.iter().copied());
    for (place, number) in room.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}
