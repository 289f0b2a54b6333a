//! The measures of retrieval: pure functions of a ranking and what is known to be right.

use super::questions::Relevant;

/// A ranked document, or page of one, as the questions may name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Place {
    pub document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl Place {
    /// Whether this is the place a judgement speaks of: the page is the same, where it names one,
    /// and so is the path, or the end of it.
    pub fn is(&self, judged: &Relevant) -> bool {
        let same_page = judged.page.is_none() || judged.page == self.page;
        same_page && is_document(&self.document, &judged.document)
    }
}

/// Whether `path` is the document called `name`: its whole path, or its last parts.
pub fn is_document(path: &str, name: &str) -> bool {
    let rest = path.strip_suffix(name);
    !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Gain of the first judgement that fits each place; each judgement counts once.
pub fn gains(ranking: &[Place], relevant: &[Relevant]) -> Vec<f64> {
    let mut left: Vec<&Relevant> = relevant.iter().collect();
    let gain = |place: &Place| {
        let found = left.iter().position(|judged| place.is(judged));
        found.map_or(0.0, |index| left.swap_remove(index).gain)
    };
    ranking.iter().map(gain).collect()
}

/// Normalised discounted cumulative gain of the first `k` (Järvelin and Kekäläinen 2002, with the
/// gain itself as `trec_eval` has it): 0 to 1.
pub fn ndcg(gains: &[f64], relevant: &[Relevant], k: usize) -> f64 {
    let mut ideal: Vec<f64> = relevant.iter().map(|judged| judged.gain).collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(&ideal, k);
    if best > 0.0 {
        discounted(gains, k) / best
    } else {
        0.0
    }
}

fn discounted(gains: &[f64], k: usize) -> f64 {
    let ranks = (2..).map(f64::from);
    gains
        .iter()
        .take(k)
        .zip(ranks)
        .map(|(gain, rank)| gain / rank.log2())
        .sum()
}

/// Share of the relevant places among the first `k`.
pub fn recall(gains: &[f64], relevant: &[Relevant], k: usize) -> f64 {
    let found = gains.iter().take(k).filter(|gain| **gain > 0.0).count();
    found as f64 / relevant.len().max(1) as f64
}

/// One over the rank of the first relevant place, 0 if it is not among the first `k`.
pub fn reciprocal_rank(gains: &[f64], k: usize) -> f64 {
    let first = gains.iter().take(k).position(|gain| *gain > 0.0);
    first.map_or(0.0, |index| 1.0 / (index + 1) as f64)
}

/// The value below which a share `p` of `values` lies (nearest rank); 0 when there are none.
pub fn percentile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(document: &str) -> Place {
        Place {
            document: document.into(),
            page: Some(1),
        }
    }

    fn judged(document: &str, gain: f64) -> Relevant {
        Relevant {
            document: document.into(),
            page: None,
            gain,
        }
    }

    #[test]
    fn a_name_is_the_end_of_a_path_at_a_slash() {
        assert!(is_document("/docs/a.pdf", "a.pdf"));
        assert!(is_document("a.pdf", "a.pdf"));
        assert!(!is_document("/docs/ba.pdf", "a.pdf"));
        assert!(!is_document("/docs/a.pdf", ""));
    }

    #[test]
    fn a_perfect_ranking_scores_one_and_order_counts() {
        let relevant = [judged("a", 2.0), judged("b", 1.0)];
        let score = |ranking: &[Place]| ndcg(&gains(ranking, &relevant), &relevant, 10);
        assert_eq!(score(&[place("a"), place("b")]), 1.0);
        let swapped = score(&[place("b"), place("a")]);
        // (1 + 2/log2 3) / (2 + 1/log2 3)
        assert!((swapped - 0.859_75).abs() < 1e-4, "{swapped}");
        assert_eq!(score(&[place("c")]), 0.0);
    }

    #[test]
    fn a_document_met_twice_counts_once() {
        let relevant = [judged("a", 1.0)];
        assert_eq!(gains(&[place("a"), place("a")], &relevant), [1.0, 0.0]);
        assert_eq!(recall(&[1.0, 0.0], &relevant, 10), 1.0);
    }

    #[test]
    fn the_first_right_place_gives_the_reciprocal_rank() {
        assert_eq!(reciprocal_rank(&[0.0, 1.0, 1.0], 10), 0.5);
        assert_eq!(reciprocal_rank(&[0.0, 0.0, 1.0], 2), 0.0);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(percentile(&values, 0.5), 3.0);
        assert_eq!(percentile(&values, 0.99), 5.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
