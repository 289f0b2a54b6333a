//! Chunks per second of the built-in encoders: `cargo bench --bench embed`. The ratio to quote is
//! between the lines of one model in one run: `packed` is what Squall runs, `candle` the same weights
//! in f32 on candle's own BERT, one text at a time on every core, which is its best.

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use squall::embed::{BertEmbedder, Embedder as _, Role, minilm, multilingual, reference};

const ENGLISH: [&str; 16] = [
    "harbour",
    "committee",
    "approved",
    "dredging",
    "the",
    "of",
    "annual",
    "ferry",
    "timetable",
    "because",
    "inspection",
    "sediment",
    "between",
    "contractors",
    "moorings",
    "and",
];
const KOREAN: [&str; 16] = [
    "항만",
    "위원회는",
    "승인하였다",
    "준설",
    "그리고",
    "올해",
    "연간",
    "여객선",
    "시간표를",
    "때문에",
    "점검",
    "퇴적물이",
    "사이에",
    "계약한",
    "계류장을",
    "예산",
];

/// Chunks of about `length` characters.
fn chunks(words: &[&str], count: usize, length: usize) -> Vec<String> {
    (0..count)
        .map(|seed| {
            let mut text = String::new();
            let mut at = seed * 7 + 3;
            while text.chars().count() < length {
                text.push_str(words[at % words.len()]);
                text.push(' ');
                at = at * 5 + seed + 1;
                at %= 10_007;
            }
            text
        })
        .collect()
}

fn embed(criterion: &mut Criterion) {
    compare(criterion, "minilm", minilm(), &chunks(&ENGLISH, 32, 500));
    compare(
        criterion,
        "multilingual",
        multilingual(),
        &chunks(&KOREAN, 16, 250),
    );
}

fn compare(criterion: &mut Criterion, name: &str, packed: BertEmbedder, owned: &[String]) {
    let texts: Vec<&str> = owned.iter().map(String::as_str).collect();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.throughput(Throughput::Elements(texts.len() as u64));
    for (kind, model) in [("candle", reference(name)), ("packed", packed)] {
        model.embed(&texts[..1], Role::Passage).unwrap();
        group.bench_function(kind, |bencher| {
            bencher.iter(|| model.embed(&texts, Role::Passage).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
