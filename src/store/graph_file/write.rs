//! Writing a graph file.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::{CODE, HEADER, MAGIC, MOST_LAYERS, NEAR, UPPER, node_size};
use crate::store::Collection;
use crate::store::hnsw::Layers;
use crate::store::mapped::{Summed, fingerprint, sync_folder};
use crate::store::parts::Chain;
use crate::store::vectors::VectorFile;

/// Writes the graph of `vectors` beside `path` and renames it there.
pub fn write(
    path: &Path,
    collection: &Collection,
    vectors: &Chain<VectorFile>,
    layers: &Layers,
) -> anyhow::Result<()> {
    let folder = path.parent().context("the graph file has no folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = Summed {
        out: std::io::BufWriter::new(file.as_file_mut()),
        sum: blake3::Hasher::new(),
    };
    // Room for the header, which is known last.
    out.out.write_all(&[0; HEADER])?;
    let (rows, dimension) = (vectors.rows(), collection.model.dimension);
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
    let sum = out.sum.finalize();
    out.out.flush()?;
    drop(out);
    let mut head = Vec::with_capacity(HEADER);
    head.extend(MAGIC);
    head.extend((dimension as u32).to_le_bytes());
    head.extend(layers.entry.to_le_bytes());
    head.extend((layers.lowest.len() as u64).to_le_bytes());
    head.extend(vectors.generation().to_le_bytes());
    head.extend(vectors.covers().to_le_bytes());
    let counts = layers
        .upper
        .iter()
        .map(Vec::len)
        .chain(std::iter::repeat(0));
    for count in counts.take(MOST_LAYERS) {
        head.extend((count as u32).to_le_bytes());
    }
    head.extend(fingerprint(collection).as_bytes());
    head.extend(sum.as_bytes());
    let hash = blake3::hash(&head);
    head.extend(hash.as_bytes());
    std::os::unix::fs::FileExt::write_all_at(file.as_file(), &head, 0)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

fn put_links(room: &mut [u8], near: &[u32]) {
    let numbers = std::iter::once(near.len() as u32).chain(near.iter().copied());
    for (place, number) in room.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}
