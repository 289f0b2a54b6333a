//! Scores of vectors: the dot product, and the best `k` of many.

use super::Scored;

/// Scores beyond this come from damaged vectors; rounding stays far below.
const IMPOSSIBLE: f32 = 1.01;

/// The dot product, which for unit vectors is the cosine. Sixteen sums at once, so that the
/// compiler can use vector registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a_chunks, b_chunks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The best `k` of many scores; ties go to the lower chunk id, so that results do not depend on
/// the order of insertion.
pub struct Best {
    k: usize,
    /// Whether a score was seen that unit vectors cannot have.
    is_impossible: bool,
    /// Worst first.
    heap: std::collections::BinaryHeap<std::cmp::Reverse<Ranked>>,
}

impl Best {
    pub fn new(k: usize) -> Self {
        Self {
            k,
            is_impossible: false,
            heap: std::collections::BinaryHeap::with_capacity(k + 1),
        }
    }

    /// Notes a score that no two unit vectors have.
    pub fn doubt(&mut self, score: f32) {
        self.is_impossible |= score.is_nan() || score.abs() > IMPOSSIBLE;
    }

    /// The score to beat, once as many are there as are kept.
    pub fn worst(&self) -> Option<f32> {
        let worst = self.heap.peek().filter(|_| self.heap.len() >= self.k);
        worst.map(|worst| worst.0.score)
    }

    /// How many are kept.
    pub fn room(&self) -> usize {
        self.k
    }

    /// Whether some vector that was scored must be damaged.
    pub fn is_impossible(&self) -> bool {
        self.is_impossible
    }

    pub fn would_take(&self, score: f32) -> bool {
        self.heap.len() < self.k || self.heap.peek().is_some_and(|worst| score >= worst.0.score)
    }

    pub fn push(&mut self, chunk: i64, score: f32) {
        if self.would_take(score) {
            self.heap.push(std::cmp::Reverse(Ranked { score, chunk }));
            if self.heap.len() > self.k {
                self.heap.pop();
            }
        }
    }

    /// Best first.
    pub fn into_sorted(self) -> Vec<Scored> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|std::cmp::Reverse(ranked)| Scored {
                chunk: ranked.chunk,
                score: ranked.score,
            })
            .collect()
    }
}

/// A chunk in the order of its score.
#[derive(Clone, Copy, PartialEq)]
pub struct Ranked {
    pub score: f32,
    pub chunk: i64,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.chunk.cmp(&self.chunk))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dot_product_sums_every_lane() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        let expected: f32 = a.iter().map(|x| x * x).sum();
        assert_eq!(dot(&a, &a), expected);
    }
}
