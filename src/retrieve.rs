//! Question to chunks: a lexical and a semantic arm, filters before top-k, scores fused.

mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use crate::document::{Filter, Hit};
use crate::embed::{Embedder, Role};
use crate::settings::{IndexChoice, Mode};
use crate::store::{Collection, Depth, Nearest, Scored, Store};
use crate::terms::query_terms;
use crate::text::{Script, is_cjk_text};
use crate::usage;

/// The best of each arm, which are fused.
const CANDIDATES: usize = 100;
/// Chunks each arm scores, so that what one arm brings is known to the other.
const DEPTH: usize = 1000;
/// Part of its weight that the lexical arm keeps across scripts when the question has a number or a
/// code, which are the same in every language. English titles to Korean pages: recall@5 is .750 by
/// meaning alone, .738 where stray words keep even a fiftieth.
const CODE_SHARE: f32 = 0.1;
/// Lexical hits whose names are compared with the question, ...
const NAMED: usize = 30;
/// ... and whose script is.
const PROBED: usize = 5;
/// Weight of the semantic arm; the lexical arm has the rest. SciFact is best at 0.5 (nDCG@10 .7399;
/// .729 at 0.4, .736 at 0.7), KorQuAD at 0.4 (.9546; .9528 at 0.5): bigrams do better than words.
const SEMANTIC_WEIGHT: f32 = 0.5;
const SEMANTIC_WEIGHT_CJK: f32 = 0.4;

/// What a question came back with.
pub struct Retrieved {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The question's vector, when the semantic arm ran.
    pub vector: Option<Vec<f32>>,
    /// Milliseconds by stage.
    pub timings_ms: BTreeMap<&'static str, f64>,
}

/// What one arm brought back, the best first.
struct Arm {
    scored: Vec<Scored>,
    /// Whether no other chunk has a score.
    is_all: bool,
}

/// Where and how to look.
pub struct Search<'a> {
    pub store: &'a dyn Store,
    pub embedder: &'a dyn Embedder,
    pub collection: Collection,
    pub filter: Filter,
    pub index: IndexChoice,
    pub mode: Mode,
}

impl Search<'_> {
    /// The `k` best chunks for `question`.
    pub fn run(&self, question: &str, k: usize) -> anyhow::Result<Retrieved> {
        let (store, collection, filter) = (self.store, &self.collection, &self.filter);
        let mut timings_ms = BTreeMap::new();
        let depth = DEPTH.max(k);
        let (lexical, is_known) = match self.mode {
            Mode::Semantic => (Vec::new(), true),
            _ => timed(&mut timings_ms, "lexical", || self.lexical(question, depth))?,
        };
        if self.mode == Mode::Semantic && !self.embedder.understands(question) {
            return Err(usage!(
                "the {} model of '{name}' does not read this question: leave out --mode semantic, or \
                 type `squall reembed --model multilingual -c '{name}'`",
                self.embedder.name(),
                name = collection.name
            )
            .into());
        }
        // A model that cannot read the question has no opinion on it.
        let is_read = self.mode != Mode::Lexical
            && self.embedder.understands(question)
            && !question.trim().is_empty();
        let vector = match is_read {
            true => timed(&mut timings_ms, "embed", || {
                Ok(self.embedder.embed(&[question], Role::Query)?.pop())
            })?,
            false => None,
        };
        let semantic = match &vector {
            Some(vector) => timed(&mut timings_ms, "semantic", || {
                let depth = Depth {
                    few: CANDIDATES.max(k),
                    many: depth,
                };
                store.nearest(collection, vector, filter, depth, self.index)
            })?,
            None => Nearest {
                scored: Vec::new(),
                by_graph: false,
            },
        };
        let lexical = Arm {
            is_all: lexical.len() < depth,
            scored: lexical,
        };
        let semantic = Arm {
            is_all: !semantic.by_graph && semantic.scored.len() < depth,
            scored: semantic.scored,
        };
        let lexical_weight = lexical_share(question, is_known)
            * match is_cjk_text(question) {
                true => 1.0 - SEMANTIC_WEIGHT_CJK,
                false => 1.0 - SEMANTIC_WEIGHT,
            };
        let fused = fuse(&lexical, &semantic, lexical_weight, CANDIDATES.max(k));
        let best: Vec<i64> = fused.iter().take(k).map(|scored| scored.chunk).collect();
        let scores: HashMap<i64, f32> = fused.iter().map(|s| (s.chunk, s.score)).collect();
        let cosines: HashMap<i64, f32> =
            semantic.scored.iter().map(|s| (s.chunk, s.score)).collect();
        let hits = timed(&mut timings_ms, "fetch", || store.hits(&best))?
            .into_iter()
            .map(|(chunk, hit)| Hit {
                score: scores.get(&chunk).copied().unwrap_or(0.0),
                cosine: cosines.get(&chunk).copied(),
                ..hit
            })
            .collect();
        Ok(Retrieved {
            hits,
            vector,
            timings_ms,
        })
    }

    /// The chunks with the question's terms, and whether their words tell: four of the five best are in
    /// the question's script, or one has no vector, as the model cannot read it. An English question to
    /// Korean pages with vectors meets stray words only.
    fn lexical(&self, question: &str, depth: usize) -> anyhow::Result<(Vec<Scored>, bool)> {
        let asked = query_terms(question);
        let mut scored = self
            .store
            .lexical(&self.collection, &asked, &self.filter, depth)?;
        let best: Vec<i64> = scored.iter().take(NAMED).map(|s| s.chunk).collect();
        let sketches = self.store.sketches(&self.collection, &asked, &best)?;
        let probed = &sketches[..sketches.len().min(PROBED)];
        let script = Script::of(question);
        let same = probed.iter().filter(|s| script.may_share_words(s.script));
        let is_known = same.count() * 5 >= probed.len() * 4;
        let is_covered = probed.iter().all(|s| self.embedder.reads(s.script));
        names::prefer_named(&asked, &mut scored, &sketches);
        Ok((scored, is_known || !is_covered))
    }
}

/// How much of its weight the lexical arm deserves. Across scripts it meets stray words only.
fn lexical_share(question: &str, is_known: bool) -> f32 {
    match (is_known, question.contains(char::is_numeric)) {
        (true, _) => 1.0,
        (false, true) => CODE_SHARE,
        (false, false) => 0.0,
    }
}

/// Convex combination of standardised scores (z-scores over the candidates of either arm). On
/// SciFact and KorQuAD it is above either arm, beats min-max fusion a little and reciprocal-rank
/// fusion by far. An arm that
/// is silent leaves the field to the other; of two that are not, the lexical one has `lexical_weight`.
fn fuse(lexical: &Arm, semantic: &Arm, lexical_weight: f32, most: usize) -> Vec<Scored> {
    let best = lexical.scored.iter().take(most);
    let candidates: BTreeSet<i64> = best
        .chain(semantic.scored.iter().take(most))
        .map(|scored| scored.chunk)
        .collect();
    let weight = match (lexical.scored.is_empty(), semantic.scored.is_empty()) {
        (_, true) => 0.0,
        (true, false) => 1.0,
        (false, false) => 1.0 - lexical_weight,
    };
    let lexical = standardised(lexical, &candidates);
    let semantic = standardised(semantic, &candidates);
    let mut fused: Vec<Scored> = candidates
        .into_iter()
        .zip(lexical.into_iter().zip(semantic))
        .map(|(chunk, (lexical, semantic))| Scored {
            chunk,
            score: (1.0 - weight) * lexical + weight * semantic,
        })
        .collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    // To 0..1, as people read it.
    let (high, low) = match (fused.first(), fused.last()) {
        (Some(first), Some(last)) => (first.score, last.score.min(first.score - 1.0)),
        _ => return fused,
    };
    for scored in &mut fused {
        scored.score = (scored.score - low) / (high - low);
    }
    fused
}

/// How many standard deviations each candidate's score is above their mean. A candidate the arm did
/// not bring back is taken for as bad as the worst that it did.
fn standardised(arm: &Arm, candidates: &BTreeSet<i64>) -> Vec<f32> {
    let known: HashMap<i64, f32> = arm.scored.iter().map(|s| (s.chunk, s.score)).collect();
    let least = |from: f32| arm.scored.iter().map(|s| s.score).fold(from, f32::min);
    // Where it brought all that it has a score for, the others have none.
    let worst = least(if arm.is_all { 0.0 } else { f32::MAX });
    let scores: Vec<f32> = candidates
        .iter()
        .map(|chunk| known.get(chunk).copied().unwrap_or(worst))
        .collect();
    let n = scores.len().max(1) as f32;
    let mean = scores.iter().sum::<f32>() / n;
    let variance = scores.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    let by = variance.sqrt().max(1e-6);
    scores.iter().map(|x| (x - mean) / by).collect()
}

fn timed<T>(
    timings: &mut BTreeMap<&'static str, f64>,
    stage: &'static str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    let value = work()?;
    timings.insert(stage, start.elapsed().as_secs_f64() * 1000.0);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(pairs: &[(i64, f32)]) -> Arm {
        let scored = pairs.iter().map(|&(chunk, score)| Scored { chunk, score });
        Arm {
            scored: scored.collect(),
            is_all: true,
        }
    }

    fn fused(lexical: &[(i64, f32)], semantic: &[(i64, f32)]) -> Vec<Scored> {
        fuse(&arm(lexical), &arm(semantic), 0.5, CANDIDATES)
    }

    fn order(fused: Vec<Scored>) -> Vec<i64> {
        fused.iter().map(|scored| scored.chunk).collect()
    }

    #[test]
    fn a_chunk_both_arms_like_comes_first() {
        let fused = fused(
            &[(1, 9.0), (2, 8.0), (4, 1.0)],
            &[(3, 0.7), (2, 0.65), (4, 0.1)],
        );
        assert_eq!(fused[0].chunk, 2);
        assert_eq!((fused[0].score, fused[3].score), (1.0, 0.0));
    }

    #[test]
    fn a_silent_arm_does_not_weigh() {
        assert_eq!(order(fused(&[(1, 4.0), (2, 2.0)], &[])), [1, 2]);
        assert_eq!(order(fused(&[], &[(7, 0.5), (8, 0.1)])), [7, 8]);
        assert!(fused(&[], &[]).is_empty());
    }

    #[test]
    fn what_an_arm_did_not_reach_is_as_bad_as_its_worst_not_as_zero() {
        let near = Arm {
            is_all: false,
            ..arm(&[(1, 0.85), (2, 0.84), (3, 0.83)])
        };
        let words = arm(&[(9, 8.0), (3, 1.0), (2, 1.0)]);
        assert_eq!(order(fuse(&words, &near, 0.5, CANDIDATES))[0], 9);
    }

    #[test]
    fn words_count_for_nothing_across_scripts_unless_there_is_a_code() {
        assert_eq!(lexical_share("password setting", true), 1.0);
        assert_eq!(lexical_share("password setting", false), 0.0);
        assert_eq!(lexical_share("error E-1234", false), CODE_SHARE);
    }

    #[test]
    fn one_candidate_is_the_best_there_is() {
        assert_eq!(fused(&[(5, 1.0)], &[])[0].score, 1.0);
    }

    #[test]
    fn ties_go_to_the_older_chunk() {
        assert_eq!(order(fused(&[(5, 1.0), (4, 1.0)], &[])), [4, 5]);
    }
}
