//! What a large collection costs: `cargo bench --bench million`. Makes a collection of 1,000,000 chunks
//! with synthetic text and vectors once (seeded; about 5 GB), and measures the arms, a document more,
//! and whole `squall query` processes on it.
//!
//! `SQUALL_BENCH_CHUNKS` is the number of chunks, `SQUALL_BENCH_DIR` where collections are kept (by
//! default under the system's temporary folder).

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use squall::document::{Chunk, DocumentId, Filter, Page, Parsed, Source, Verdict};
use squall::ingest::identity;
use squall::settings::IndexChoice;
use squall::store::{Collection, Depth, EmbeddedStore, Entry, IndexedChunk, Origin, Scored, Store};
use squall::terms::terms;

const DIMENSION: usize = 384;
/// Chunks of a document, words of a chunk, and words there are.
const CHUNKS: usize = 100;
const WORDS: usize = 60;
const VOCABULARY: u64 = 200_000;
/// Vectors lie about as many centres, as those of texts lie about topics.
const TOPICS: u64 = 2_000;
const QUERIES: u64 = 200;

/// A seeded stream of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, by the sum of four.
    fn normal(&mut self) -> f32 {
        ((0..4).map(|_| self.share()).sum::<f64>() - 2.0) as f32
    }

    /// A word; the n-th is n times as rare as the first (Zipf's law).
    fn word(&mut self) -> String {
        let rank = (VOCABULARY as f64).powf(self.share()) as u64;
        let mut name = String::new();
        let mut rest = rank * 7919 + 13;
        while rest > 0 {
            name.push(char::from(b"bdfgklmnprstvz"[(rest % 14) as usize]));
            name.push(char::from(b"aeiou"[(rest / 14 % 5) as usize]));
            rest /= 70;
        }
        name
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// A vector near the centre of a topic.
fn vector(random: &mut Random) -> Vec<f32> {
    let mut centre = Random(random.next() % TOPICS + 1_000_003);
    unit(
        (0..DIMENSION)
            .map(|_| centre.normal() + 0.8 * random.normal())
            .collect(),
    )
}

fn entry(number: usize) -> Entry {
    let mut random = Random(number as u64 * 31 + 7);
    let mut text = String::new();
    let chunks = (0..CHUNKS).map(|_| {
        let words: Vec<String> = (0..WORDS).map(|_| random.word()).collect();
        let words = words.join(" ") + ".";
        let start = text.len();
        text.push_str(&words);
        let chunk = Chunk {
            page: 1,
            start,
            end: text.len(),
            text: words.clone(),
        };
        text.push(' ');
        IndexedChunk {
            chunk,
            vector: Some(vector(&mut random)),
        }
    });
    let chunks = chunks.collect();
    let path = format!("/synthetic/{number}.txt");
    Entry {
        collection: "default".into(),
        document_id: DocumentId(format!("{number:064x}")),
        sources: vec![Source {
            file: PathBuf::from(&path),
            path,
            root: "/synthetic".into(),
            size: text.len() as u64,
            modified: 0,
        }],
        tags: Default::default(),
        service: "local".into(),
        parser: "synthetic".into(),
        parsed: Parsed {
            pages: vec![Page {
                number: 1,
                text,
                verdict: Verdict::Ok,
            }],
            title: None,
            ..Parsed::default()
        },
        chunks,
        origin: Origin::File,
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    println!("{what:40} {:10.1} s", start.elapsed().as_secs_f64());
    value
}

/// Milliseconds of each query, and what came back.
fn each<T>(what: &str, mut ask: impl FnMut(u64) -> T) -> Vec<T> {
    let (mut times, mut found) = (Vec::new(), Vec::new());
    for query in 0..QUERIES {
        let start = Instant::now();
        found.push(ask(query));
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what:40} p50 {:8.2} ms   p99 {:8.2} ms", at(0.5), at(0.99));
    found
}

fn built(folder: &Path, chunks: usize) -> (EmbeddedStore, Collection) {
    let store = EmbeddedStore::open(folder).unwrap();
    let model = identity(&squall::embed::minilm());
    let collection = store.open_collection("default", &model).unwrap();
    let documents = chunks / CHUNKS;
    let known = store.sources("default", "").unwrap().len();
    if known < documents {
        timed("storing", || {
            for number in known..documents {
                store.put(&entry(number)).unwrap();
            }
        });
    }
    let collection = store.collection(&collection.name).unwrap().unwrap();
    timed("vector and posting files", || {
        store.refresh(&collection, false).unwrap()
    });
    if store.collections().unwrap()[0].graph_chunks < chunks as u64 {
        timed("graph", || {
            store.refresh_graph(&collection, 1, true).unwrap()
        });
    }
    let collection = store.collection(&collection.name).unwrap().unwrap();
    (store, collection)
}

fn main() {
    let chunks: usize =
        std::env::var("SQUALL_BENCH_CHUNKS").map_or(1_000_000, |text| text.parse().unwrap());
    let folder =
        std::env::var_os("SQUALL_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("squall-bench-{chunks}"));
    let (store, collection) = built(&folder, chunks);
    let row = &store.collections().unwrap()[0];
    println!(
        "{chunks} chunks, {} bytes each on disk",
        row.bytes / row.chunks.max(1)
    );

    let all = Filter::default();
    let near = |index: IndexChoice, k: usize| {
        let (store, collection, all) = (&store, &collection, &all);
        move |query: u64| {
            let vector = vector(&mut Random(query * 17 + 99_991));
            let depth = Depth { few: k, many: k };
            store
                .nearest(collection, &vector, all, depth, index)
                .unwrap()
                .scored
        }
    };
    let exact = each("semantic, exact, 10", near(IndexChoice::Exact, 10));
    let graph = each("semantic, HNSW, 10", near(IndexChoice::Hnsw, 10));
    each("semantic, HNSW, 100", near(IndexChoice::Hnsw, 100));
    let pairs = exact.iter().zip(&graph);
    let held = |(exact, graph): (&Vec<Scored>, &Vec<Scored>)| {
        exact
            .iter()
            .filter(|one| graph.iter().any(|other| other.chunk == one.chunk))
            .count()
    };
    let recall = pairs.map(held).sum::<usize>() as f64 / (10 * QUERIES) as f64;
    println!("{:40} {recall:.4}", "recall@10 of HNSW");

    each("lexical, 4 words", |query| {
        let mut random = Random(query * 13 + 5);
        let words: Vec<String> = (0..4).map(|_| random.word()).collect();
        store
            .lexical(&collection, &terms(&words.join(" ")), &all, 1000)
            .unwrap()
    });

    timed("a document more", || {
        store.put(&entry(chunks)).unwrap();
        store.refresh(&collection, false).unwrap();
    });
    store
        .remove("default", &[format!("/synthetic/{chunks}.txt")])
        .unwrap();

    for mode in ["lexical", "semantic", "hybrid"] {
        each(
            &format!("`squall query --mode {mode}`, whole process"),
            |query| {
                let mut random = Random(query * 13 + 5);
                let words: Vec<String> = (0..4).map(|_| random.word()).collect();
                let output = Command::new(env!("CARGO_BIN_EXE_squall"))
                    .arg("--data-dir")
                    .arg(&folder)
                    .args(["query", "--mode", mode, &words.join(" ")])
                    .output()
                    .unwrap();
                assert!(output.status.code() <= Some(1), "{output:?}");
            },
        );
    }
}
