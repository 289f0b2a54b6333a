//! An HNSW graph as a file that is searched where it lies, memory-mapped: nothing is loaded, and a
//! search reads the few thousand nodes it comes across.
//!
//! Layout, little endian: a header of [`HEADER`] bytes; the nodes, each its chunk id (i64), the step of
//! its code (f32), the number of its neighbours (u32), room for [`LOWEST_LINKS`] neighbours (u32), and
//! its code, filled up to a multiple of 16; then for each layer above its nodes in ascending order, each
//! its number, the number of its neighbours, and room for [`LINKS`] of them (u32). The header holds the
//! BLAKE3 of all behind it, and ends with its own.

mod write;

use std::collections::BinaryHeap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;

use super::Collection;
use super::best::Ranked;
use super::codes::Asked;
use super::hnsw::{LINKS, LOWEST_LINKS};
use super::mapped::{self, FRONT, Front, array};
use super::parts::Part;

pub use write::write;

const MAGIC: &[u8; 8] = b"SQLGRF\x00\x02";
/// Magic and front; dimension, entry, nodes; nodes of 16 layers; two checksums.
const HEADER: usize = FRONT + 4 + 4 + 8 + 4 * MOST_LAYERS + 32 + 32;
const SUM: usize = HEADER - 64;
/// Layers above the lowest.
const MOST_LAYERS: usize = 16;
/// Where neighbours and the code stand in a node.
const NEAR: usize = 16;
const CODE: usize = NEAR + 4 * LOWEST_LINKS;
/// Bytes of a node of an upper layer.
const UPPER: usize = 8 + 4 * LINKS;
/// A file up to this size is compared with its checksum when it is opened; beyond, by `verify`.
const CHECKED: usize = 32 << 20;

/// A mapped graph of the vectors of a range of chunks.
pub struct GraphFile {
    map: Mmap,
    front: Front,
    dimension: usize,
    nodes: usize,
    entry: u32,
    /// Where each upper layer begins, and its nodes.
    upper: Vec<(usize, usize)>,
}

impl Part for GraphFile {
    const FOLDER: &'static str = "graphs";
    const KIND: &'static str = "HNSW graph";

    fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>> {
        let Some((map, front)) = mapped::open_part(path, MAGIC, HEADER, collection)? else {
            return Ok(None);
        };
        let number = |at| u32::from_le_bytes(array(&map, FRONT + at));
        let dimension = number(0) as usize;
        let nodes = u64::from_le_bytes(array(&map, FRONT + 8)) as usize;
        ensure!(
            dimension == collection.model.dimension,
            "its vectors have another length"
        );
        let size = nodes.checked_mul(node_size(dimension));
        let mut end = size
            .and_then(|size| size.checked_add(HEADER))
            .context("it is too large")?;
        let mut upper = Vec::new();
        for layer in 0..MOST_LAYERS {
            let count = number(16 + 4 * layer) as usize;
            if count > 0 {
                upper.push((end, count));
                end += count * UPPER;
            }
        }
        ensure!(map.len() == end, "it is truncated");
        let opened = Self {
            dimension,
            nodes,
            entry: number(4),
            upper,
            front,
            map,
        };
        if opened.map.len() <= CHECKED {
            opened.verify()?;
        }
        Ok(Some(opened))
    }

    fn seal_of(path: &Path) -> Option<[u8; 32]> {
        mapped::seal(path, MAGIC, HEADER)
    }

    fn front(&self) -> &Front {
        &self.front
    }

    fn len(&self) -> usize {
        self.nodes
    }

    fn holds(&self, chunk: i64) -> bool {
        let low = mapped::first_not(self.nodes, |middle| self.chunk(middle as u32) < chunk);
        low < self.nodes && self.chunk(low as u32) == chunk
    }

    fn verify(&self) -> anyhow::Result<()> {
        let hash = blake3::hash(&self.map[HEADER..]);
        ensure!(
            *hash.as_bytes() == self.map[SUM..SUM + 32],
            "its nodes are damaged"
        );
        Ok(())
    }
}

impl GraphFile {
    /// About the `ef` nearest chunks among those `wanted`, best first. More trade time for recall.
    pub fn search(&self, query: &[f32], ef: usize, wanted: &dyn Fn(i64) -> bool) -> Vec<i64> {
        if self.nodes == 0 || ef == 0 {
            return Vec::new();
        }
        let asked = Asked::new(query);
        let mut nearest = self.scored(&asked, self.entry);
        for layer in (0..self.upper.len()).rev() {
            nearest = self.descend(&asked, layer, nearest);
        }
        let found = self.lowest(&asked, nearest, ef, wanted);
        found.into_iter().map(|node| self.chunk(node)).collect()
    }

    /// The node of an upper layer that no neighbour beats.
    fn descend(&self, asked: &Asked, layer: usize, from: Ranked) -> Ranked {
        let mut nearest = from;
        loop {
            let near = self.upper_neighbours(layer, nearest.chunk as u32);
            let scored = near.map(|node| self.scored(asked, node));
            match scored.max() {
                Some(better) if better.score > nearest.score => nearest = better,
                _ => return nearest,
            }
        }
    }

    /// The best `ef` wanted nodes of the lowest layer: candidates are followed until none can be better
    /// than the worst of them (Algorithm 2 of the paper).
    fn lowest(
        &self,
        asked: &Asked,
        entry: Ranked,
        ef: usize,
        wanted: &dyn Fn(i64) -> bool,
    ) -> Vec<u32> {
        let mut seen = vec![0_u64; self.nodes.div_ceil(64)];
        let mut is_new = |node: u32| {
            let (word, bit) = (node as usize / 64, 1 << (node % 64));
            let is_new = seen[word] & bit == 0;
            seen[word] |= bit;
            is_new
        };
        is_new(entry.chunk as u32);
        let mut found = super::best::Best::new(ef);
        let mut take = |ranked: &Ranked| {
            if wanted(self.chunk(ranked.chunk as u32)) {
                found.push(ranked.chunk, ranked.score);
            }
            found.worst()
        };
        let mut worst = take(&entry);
        let mut candidates = BinaryHeap::from([entry]);
        while let Some(candidate) = candidates.pop() {
            if worst.is_some_and(|worst| candidate.score < worst) {
                break;
            }
            for node in self.neighbours(candidate.chunk as u32) {
                if !is_new(node) {
                    continue;
                }
                let ranked = self.scored(asked, node);
                if worst.is_none_or(|worst| ranked.score > worst) {
                    worst = take(&ranked);
                    candidates.push(ranked);
                }
            }
        }
        let found = found.into_sorted().into_iter();
        found.map(|scored| scored.chunk as u32).collect()
    }

    fn node(&self, node: u32) -> &[u8] {
        let size = node_size(self.dimension);
        let start = HEADER + node as usize * size;
        &self.map[start..start + size]
    }

    fn chunk(&self, node: u32) -> i64 {
        i64::from_le_bytes(array(self.node(node), 0))
    }

    /// The node with its score; `chunk` stands for the node here.
    fn scored(&self, asked: &Asked, node: u32) -> Ranked {
        let record = self.node(node);
        let step = f32::from_le_bytes(array(record, 8));
        Ranked {
            score: asked.score(&record[CODE..CODE + self.dimension], step),
            chunk: i64::from(node),
        }
    }

    /// Numbers in `bytes`, behind their count; those that are no nodes come from damage.
    fn links<'b>(&'b self, bytes: &'b [u8], most: usize) -> impl Iterator<Item = u32> + 'b {
        let count = (u32::from_le_bytes(array(bytes, 0)) as usize).min(most);
        let (numbers, _) = bytes[4..4 + 4 * count].as_chunks::<4>();
        let numbers = numbers.iter().map(|&bytes| u32::from_le_bytes(bytes));
        numbers.filter(|&node| (node as usize) < self.nodes)
    }

    fn neighbours(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.links(&self.node(node)[NEAR - 4..CODE], LOWEST_LINKS)
    }

    fn upper_neighbours(&self, layer: usize, node: u32) -> impl Iterator<Item = u32> + '_ {
        let (start, count) = self.upper[layer];
        let record = |index: usize| &self.map[start + index * UPPER..][..UPPER];
        let number = |index: usize| u32::from_le_bytes(array(record(index), 0));
        let low = mapped::first_not(count, |middle| number(middle) < node);
        let found = (low < count && number(low) == node).then(|| record(low));
        found
            .into_iter()
            .flat_map(|record| self.links(&record[4..], LINKS))
    }
}

fn node_size(dimension: usize) -> usize {
    (CODE + dimension).next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::super::best::dot;
    use super::super::hnsw::build;
    use super::super::mapped::Reach;
    use super::super::parts::{Chain, Files};
    use super::super::vectors;
    use super::super::vectors::VectorFile;
    use super::*;

    const DIMENSION: usize = 64;

    fn collection() -> Collection {
        Collection::sample(DIMENSION)
    }

    /// Unit vectors in clusters, as text embeddings are; the same for the same seed.
    fn unit_vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut state = seed;
        let mut next = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1u64 << 24) as f32) - 0.5
        };
        let centres: Vec<Vec<f32>> = (0..50)
            .map(|_| (0..DIMENSION).map(|_| next()).collect())
            .collect();
        (0..count)
            .map(|i| {
                let raw: Vec<f32> = centres[i % 50].iter().map(|c| c + 0.6 * next()).collect();
                let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
                raw.into_iter().map(|x| x / norm).collect()
            })
            .collect()
    }

    fn written(folder: &Path, all: &[Vec<f32>]) -> std::path::PathBuf {
        let files = Files::new(folder);
        let rows: Vec<(i64, Vec<f32>)> = (1..).zip(all.iter().cloned()).collect();
        // Two files, which one graph spans.
        for (after, to) in [(0, all.len() / 3), (all.len() / 3, all.len())] {
            let reach = Reach {
                after: after as i64,
                to: to as i64,
            };
            let path = files.path(&collection().uid, reach);
            vectors::write_rows(&path, &collection(), reach, &rows[after..to]);
        }
        let chain: Chain<VectorFile> = files.chain(&collection(), &|| Ok(7));
        let graph = folder.join("x.graph");
        let reach = Reach {
            after: 0,
            to: chain.covers(),
        };
        let rows = chain.rows(reach);
        let layers = build(rows.len(), |index| rows.code(index)).unwrap();
        write(&graph, &collection(), reach, &rows, &layers).unwrap();
        graph
    }

    fn exact(all: &[Vec<f32>], query: &[f32], wanted: &dyn Fn(i64) -> bool) -> Vec<i64> {
        let ids = all.iter().zip(1..).filter(|(_, id)| wanted(*id));
        let mut scored: Vec<(f32, i64)> = ids.map(|(v, id)| (dot(v, query), id)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(10).map(|(_, id)| id).collect()
    }

    #[test]
    fn recall_at_10_is_at_least_98_percent_also_with_tombstones() {
        let all = unit_vectors(4000, 7);
        let dir = tempfile::tempdir().unwrap();
        let graph = GraphFile::open(&written(dir.path(), &all), &collection());
        let graph = graph.unwrap().unwrap();
        assert_eq!((graph.len(), graph.front().reach.to), (4000, 4000));
        assert!(graph.holds(1) && graph.holds(4000) && !graph.holds(4001));
        for wanted in [&|_: i64| true, &|id: i64| id % 10 != 3] as [&dyn Fn(i64) -> bool; 2] {
            let queries = unit_vectors(100, 99);
            let mut found = 0;
            for query in &queries {
                let got = graph.search(query, 128, wanted);
                assert!(got.iter().all(|&id| wanted(id)));
                let truth = exact(&all, query, wanted);
                found += truth.iter().filter(|id| got.contains(id)).count();
            }
            let recall = found as f64 / 1000.0;
            assert!(recall >= 0.98, "{recall}");
        }
    }

    #[test]
    fn one_node_and_none_can_be_searched() {
        for count in [0, 1, 2] {
            let all = unit_vectors(count, 5);
            let dir = tempfile::tempdir().unwrap();
            let graph = GraphFile::open(&written(dir.path(), &all), &collection());
            let found = graph
                .unwrap()
                .unwrap()
                .search(&[0.1; DIMENSION], 5, &|_| true);
            assert_eq!(found.len(), count);
        }
    }

    #[test]
    fn damage_is_noticed_and_a_search_in_spite_of_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), &unit_vectors(60, 3));
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            assert!(GraphFile::open(&path, &collection()).is_err(), "byte {at}");
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut graph = GraphFile::open(&path, &collection()).unwrap().unwrap();
        for at in (HEADER..bytes.len()).step_by(5) {
            let mut bad = memmap2::MmapMut::map_anon(bytes.len()).unwrap();
            bad.copy_from_slice(&bytes);
            bad[at] = 0xFF;
            graph.map = bad.make_read_only().unwrap();
            assert!(graph.search(&[0.1; DIMENSION], 8, &|_| true).len() <= 8);
        }
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(GraphFile::open(&path, &collection()).is_err());
    }
}
