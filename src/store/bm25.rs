//! BM25 (Robertson and Zaragoza 2009, doi:10.1561/1500000019), with the constants and the lower bound
//! of the inverse document frequency that SQLite's FTS5 has.

/// How soon repetitions of a term stop to count.
const K1: f32 = 1.2;
/// How much the length of a chunk counts.
const B: f32 = 0.75;
/// The weight of a term that more than half of the chunks hold.
const LEAST: f64 = 1e-6;

/// What a term weighs that `with` of `chunks` chunks hold.
pub fn weight(chunks: u64, with: u64) -> f32 {
    let (all, with) = (chunks as f64, with.min(chunks) as f64);
    let idf = ((all - with + 0.5) / (with + 0.5)).ln();
    (idf.max(LEAST) * f64::from(K1 + 1.0)) as f32
}

/// How a term's occurrences in a chunk count, given the mean length of chunks.
#[derive(Clone, Copy)]
pub struct Impact {
    a_token: f32,
}

impl Impact {
    /// `mean` is in tokens.
    pub fn new(mean: f32) -> Self {
        Self {
            a_token: K1 * B / mean.max(1.0),
        }
    }

    /// 0 to 1: the part of its weight that a term adds with `count` occurrences in a chunk of `length`
    /// tokens. The longer chunks are in the mean, the more.
    pub fn of(self, count: f32, length: u32) -> f32 {
        count / (count + K1 * (1.0 - B) + self.a_token * length as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_fts5() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE VIRTUAL TABLE t USING fts5(x)")
            .unwrap();
        let texts = ["a b c", "a a b", "d", "e f g h i", "j", "k", "l l l l"];
        for text in texts {
            db.execute("INSERT INTO t VALUES (?1)", [text]).unwrap();
        }
        let length = |text: &str| text.split(' ').count() as u32;
        let mean = texts.iter().map(|text| length(text)).sum::<u32>() as f32 / texts.len() as f32;
        for (term, with) in [("a", 2), ("b", 2), ("l", 1)] {
            let sql = "SELECT rowid, -bm25(t) FROM t WHERE t MATCH ?1";
            let mut statement = db.prepare(sql).unwrap();
            let mut rows = statement.query([term]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let text = texts[row.get::<_, i64>(0).unwrap() as usize - 1];
                let count = text.split(' ').filter(|word| *word == term).count() as f32;
                let score = weight(7, with) * Impact::new(mean).of(count, length(text));
                let expected: f64 = row.get(1).unwrap();
                assert!((f64::from(score) - expected).abs() < 1e-5, "{term} {text}");
            }
        }
    }
}
