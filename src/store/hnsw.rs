//! Building an HNSW graph (Malkov and Yashunin 2018, arXiv:1603.09320) with the crate `hnsw_rs`. It
//! compares codes ([`super::codes`]), a quarter of the memory of vectors; what comes out are plain
//! lists of neighbours, for [`super::graph_file`] to write.

use hnsw_rs::prelude::{Distance, Hnsw};

use super::codes::between;

/// Neighbours of a node (M); twice as many on the lowest layer.
pub const LINKS: usize = 16;
pub const LOWEST_LINKS: usize = 2 * LINKS;
/// Candidates looked at when a node is inserted.
const EF_CONSTRUCTION: usize = 200;
const MAX_LAYERS: usize = 16;
/// Nodes handed to the parallel insert at once.
const BATCH: usize = 2048;
/// Bytes of a step, behind the code.
const STEP: usize = 4;

/// A graph over nodes 0, 1, ...
pub struct Layers {
    /// Neighbours on the lowest layer, by node.
    pub lowest: Vec<Vec<u32>>,
    /// Nodes of each layer above and their neighbours, ascending.
    pub upper: Vec<Vec<(u32, Vec<u32>)>>,
    /// Where searches begin: a node of the highest layer.
    pub entry: u32,
}

/// One minus the cosine of what two codes stand for.
#[derive(Clone, Default)]
struct CodeDistance;

impl Distance<u8> for CodeDistance {
    fn eval(&self, a: &[u8], b: &[u8]) -> f32 {
        let ((a, a_step), (b, b_step)) = (apart(a), apart(b));
        (1.0 - between(a, b) as f32 * (a_step * b_step)).max(0.0)
    }
}

fn apart(row: &[u8]) -> (&[u8], f32) {
    match row.split_last_chunk::<STEP>() {
        Some((code, step)) => (code, f32::from_le_bytes(*step)),
        None => (&[], 0.0),
    }
}

/// Builds the graph of `count` codes; `row` gives each with its step. Every core works on it, by threads
/// of its own: searches and embedding do not wait behind it.
///
/// # Errors
/// When the threads cannot be started.
pub fn build<'c>(
    count: usize,
    row: impl Fn(usize) -> (&'c [u8], f32) + Send,
) -> anyhow::Result<Layers> {
    let threads = rayon::ThreadPoolBuilder::new().build()?;
    Ok(threads.install(|| insert(count, row)))
}

fn insert<'c>(count: usize, row: impl Fn(usize) -> (&'c [u8], f32)) -> Layers {
    let inner = Hnsw::<u8, CodeDistance>::new(
        LINKS,
        count.max(1),
        MAX_LAYERS,
        EF_CONSTRUCTION,
        CodeDistance,
    );
    for first in (0..count).step_by(BATCH) {
        let nodes = first..(first + BATCH).min(count);
        let rows: Vec<Vec<u8>> = nodes
            .clone()
            .map(|node| {
                let (code, step) = row(node);
                [code, &step.to_le_bytes()].concat()
            })
            .collect();
        let batch: Vec<(&[u8], usize)> = rows.iter().map(Vec::as_slice).zip(nodes).collect();
        inner.parallel_insert_slice(&batch);
    }
    layers(&inner, count)
}

fn layers(inner: &Hnsw<'_, u8, CodeDistance>, count: usize) -> Layers {
    let points = inner.get_point_indexation();
    let top = usize::from(inner.get_max_level_observed());
    let mut layers = Layers {
        lowest: vec![Vec::new(); count],
        upper: vec![Vec::new(); top],
        entry: 0,
    };
    for level in 0..=top {
        for point in points.get_layer_iterator(level) {
            let node = point.get_origin_id() as u32;
            layers.entry = node;
            let neighbours = point.get_neighborhood_id();
            for (layer, near) in neighbours.iter().enumerate().take(level + 1) {
                let most = if layer == 0 { LOWEST_LINKS } else { LINKS };
                let near = near.iter().take(most).map(|near| near.d_id as u32);
                match layer {
                    0 => layers.lowest[node as usize] = near.collect(),
                    _ => layers.upper[layer - 1].push((node, near.collect())),
                }
            }
        }
    }
    for layer in &mut layers.upper {
        layer.sort_unstable_by_key(|(node, _)| *node);
    }
    layers
}
