//! Chunks per second of the built-in encoder: `cargo bench --bench embed`. The ratio to quote is
//! between the two lines of one run: all texts handed over at once (one sequence a core) against
//! one text at a time (candle's own threading inside each matrix product).

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use squall::embed::{Embedder as _, Role, minilm};

/// English chunks of about 500 characters.
fn chunks(count: usize) -> Vec<String> {
    let words = [
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
    (0..count)
        .map(|seed| {
            let mut text = String::new();
            let mut at = seed * 7 + 3;
            while text.len() < 500 {
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
    let model = minilm();
    let owned = chunks(32);
    let texts: Vec<&str> = owned.iter().map(String::as_str).collect();
    model.embed(&texts[..1], Role::Passage).unwrap();
    let mut group = criterion.benchmark_group("embed");
    group.sample_size(10);
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("one_text_at_a_time", |bencher| {
        bencher.iter(|| {
            for text in &texts {
                model.embed(&[text], Role::Passage).unwrap();
            }
        });
    });
    group.bench_function("all_at_once", |bencher| {
        bencher.iter(|| model.embed(&texts, Role::Passage).unwrap());
    });
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
