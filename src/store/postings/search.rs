//! The best chunks by BM25: windows of chunks in turn, their scores summed up term by term. Once as many
//! chunks are found as are asked for, terms that together cannot lift a chunk among them are looked up
//! only for chunks that the others brought (MaxScore: Turtle and Flood 1995,
//! doi:10.1016/0306-4573(95)00020-H).

use super::{List, Postings};
use crate::store::best::Best;
use crate::store::bm25::Impact;

/// Chunks whose scores are summed up at once; they fit into the first cache of a core.
const WINDOW: usize = 4096;
/// Sums in another order differ by less than this part.
const ROUNDING: f32 = 1e-5;

/// A term that is looked for.
pub struct Asked<'t> {
    pub term: &'t str,
    /// See [`crate::store::bm25::weight`].
    pub weight: f32,
}

/// A list on its way through the chunks.
struct Walk<'f> {
    list: List<'f>,
    weight: f32,
    /// The most that a chunk gets by it.
    bound: f32,
    at: usize,
}

impl Walk<'_> {
    /// Goes on to the first entry at or beyond `place`, by steps that double and a binary search.
    fn go_to(&mut self, place: u32) {
        let rest = &self.list.places[self.at..];
        let mut high = 1;
        while rest.get(high - 1).is_some_and(|&found| found < place) {
            high *= 2;
        }
        let (low, high) = (high / 2, high.min(rest.len()));
        self.at += low + rest[low..high].partition_point(|&found| found < place);
    }
}

impl Postings {
    /// Puts the chunks that hold some of `asked`, the weightiest first, into `best`, if they are
    /// `wanted`. `mean` is the mean length of chunks in the collection, in tokens.
    pub fn search(
        &self,
        asked: &[Asked<'_>],
        mean: f32,
        wanted: &dyn Fn(i64) -> bool,
        best: &mut Best,
    ) {
        let impact = Impact::new(mean);
        let mut walks: Vec<Walk<'_>> = asked
            .iter()
            .filter_map(|one| self.walk(one, mean))
            .collect();
        let mut scores = [0.0_f32; WINDOW];
        let mut start = 0;
        loop {
            let floor = best.worst().map(|worst| worst * (1.0 - ROUNDING));
            let (leading, rest) = leading(&walks, floor);
            let (lead, others) = walks.split_at_mut(leading);
            for walk in &mut *lead {
                walk.go_to(start as u32);
            }
            let next = lead.iter().filter_map(|walk| walk.list.places.get(walk.at));
            let Some(&first) = next.min() else { return };
            start = first as usize;
            if start >= self.chunks {
                return;
            }
            let window = &mut scores[..WINDOW.min(self.chunks - start)];
            window.fill(0.0);
            for walk in lead {
                self.add(walk, start, impact, window);
            }
            for (offset, &score) in window.iter().enumerate() {
                if score > 0.0 && floor.is_none_or(|floor| score + rest >= floor) {
                    let place = start + offset;
                    let score = self.complete(others, place, score, rest, floor, impact);
                    if best.would_take(score) && wanted(self.chunk(place)) {
                        best.push(self.chunk(place), score);
                    }
                }
            }
            start += WINDOW;
        }
    }

    fn walk(&self, asked: &Asked<'_>, mean: f32) -> Option<Walk<'_>> {
        let list = self.find(asked.term)?;
        let bound = if mean <= self.mean { list.bound } else { 1.0 };
        Some(Walk {
            list,
            weight: asked.weight,
            bound: asked.weight * bound,
            at: 0,
        })
    }

    /// Adds what the term gives to each chunk of the window that begins at `start`.
    fn add(&self, walk: &mut Walk<'_>, start: usize, impact: Impact, window: &mut [f32]) {
        let List { places, counts, .. } = walk.list;
        let pairs = places[walk.at..].iter().zip(&counts[walk.at..]);
        for (&place, &count) in pairs {
            // Places ascend, unless the file is damaged.
            let Some(score) = (place as usize)
                .checked_sub(start)
                .and_then(|offset| window.get_mut(offset))
            else {
                break;
            };
            *score += walk.weight * impact.of(f32::from(count), self.length(place as usize));
            walk.at += 1;
        }
    }

    /// The score of a chunk with what the other terms add, of which `rest` is the most, as long as it can
    /// reach `floor`.
    fn complete(
        &self,
        others: &mut [Walk<'_>],
        place: usize,
        score: f32,
        rest: f32,
        floor: Option<f32>,
        impact: Impact,
    ) -> f32 {
        let (mut score, mut rest) = (score, rest);
        for walk in others {
            if floor.is_some_and(|floor| score + rest < floor) {
                break;
            }
            rest -= walk.bound;
            walk.go_to(place as u32);
            if walk.list.places.get(walk.at) == Some(&(place as u32)) {
                let count = f32::from(walk.list.counts[walk.at]);
                score += walk.weight * impact.of(count, self.length(place));
            }
        }
        score
    }
}

/// How many of the first terms a chunk must have one of to reach `floor`, and the most that the others
/// add.
fn leading(walks: &[Walk<'_>], floor: Option<f32>) -> (usize, f32) {
    let (mut leading, mut rest) = (walks.len(), 0.0);
    if let Some(floor) = floor {
        for walk in walks.iter().rev() {
            if rest + walk.bound >= floor {
                break;
            }
            rest += walk.bound;
            leading -= 1;
        }
    }
    (leading, rest)
}
