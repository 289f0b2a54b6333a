//! What every [`Store`] must do. Another implementation runs the same suite with its own factory.

use super::*;
use crate::document::{Details, Verdict};
use crate::ledger::JobState;

/// Runs the whole contract; `make` gives an empty store each time.
pub fn check(make: &dyn Fn() -> Box<dyn Store>) {
    documents_come_and_go(&*make());
    a_changed_file_replaces_its_version(&*make());
    two_paths_share_a_document(&*make());
    both_arms_find_and_filter(&*make());
    results_are_the_same_before_and_after_refresh(&*make());
    names_are_known_before_and_after_refresh(&*make());
    jobs_are_kept_and_settled(&*make());
    models_are_not_mixed(&*make());
}

fn model(dimension: usize) -> ModelIdentity {
    ModelIdentity {
        name: "m".into(),
        fingerprint: format!("m/{dimension}"),
        dimension,
    }
}

fn source(path: &str) -> Source {
    Source {
        path: path.into(),
        file: path.into(),
        root: "/r".into(),
        size: 7,
        modified: 1,
    }
}

/// A document of one page a text, one chunk a page.
fn entry(path: &str, hash: &str, pages: &[(&str, [f32; 2])]) -> Entry {
    let numbered = || (1..).zip(pages);
    Entry {
        collection: "c".into(),
        document_id: DocumentId(hash.into()),
        sources: vec![source(path)],
        tags: Tags::from([("kind".to_owned(), hash.to_owned())]),
        service: "local".into(),
        parser: "p-1".into(),
        parsed: Parsed {
            title: None,
            details: Details::default(),
            pages: numbered()
                .map(|(number, (text, _))| Page {
                    number,
                    text: (*text).into(),
                    verdict: Verdict::Ok,
                })
                .collect(),
        },
        chunks: numbered()
            .map(|(page, (text, vector))| IndexedChunk {
                chunk: Chunk {
                    page,
                    start: 0,
                    end: text.chars().count(),
                    text: (*text).into(),
                },
                vector: Some(vector.to_vec()),
            })
            .collect(),
        origin: Origin::File,
    }
}

fn open(store: &dyn Store) -> Collection {
    store.open_collection("c", &model(2)).unwrap()
}

/// Texts found by each arm for the term or vector, best first.
fn found(store: &dyn Store, scored: Vec<Scored>) -> Vec<String> {
    let ids: Vec<i64> = scored.iter().map(|s| s.chunk).collect();
    let hits = store.hits(&ids).unwrap();
    hits.into_iter().map(|(_, hit)| hit.text).collect()
}

fn lexical(store: &dyn Store, term: &str, filter: &Filter) -> Vec<String> {
    let terms = [term.to_owned()];
    found(
        store,
        store.lexical(&open(store), &terms, filter, 9).unwrap(),
    )
}

fn nearest(store: &dyn Store, query: [f32; 2], filter: &Filter, index: IndexChoice) -> Vec<String> {
    let depth = Depth { few: 9, many: 9 };
    let nearest = store
        .nearest(&open(store), &query, filter, depth, index)
        .unwrap();
    found(store, nearest.scored)
}

fn documents_come_and_go(store: &dyn Store) {
    open(store);
    let id = DocumentId("h1".into());
    assert!(!store.contains("c", &id).unwrap());
    let stored = store.put(&entry("/r/a", "h1", &[("한글 one", [1.0, 0.0])]));
    assert_eq!(stored.unwrap(), Stored::New);
    assert!(store.contains("c", &id).unwrap());
    assert_eq!(store.page("c", &id, 1).unwrap().unwrap().text, "한글 one");
    assert!(store.page("c", &id, 2).unwrap().is_none());
    assert_eq!(store.source("c", "/r/a").unwrap().unwrap().document_id, id);
    assert_eq!(
        store
            .parsed(&id, "local", "p-1")
            .unwrap()
            .unwrap()
            .pages
            .len(),
        1
    );
    assert!(store.parsed(&id, "local", "p-2").unwrap().is_none());
    assert_eq!(store.sources("c", "/r").unwrap().len(), 1);
    assert!(
        store.sources("c", "/r/").unwrap().len() == 1
            && store.sources("c", "/").unwrap().len() == 1
    );
    assert!(store.sources("c", "/rr").unwrap().is_empty());
    let row = &store.documents("c", "").unwrap()[0];
    assert_eq!((row.pages, row.chunks, row.paths.len()), (1, 1, 1));
    assert_eq!(store.collections().unwrap()[0].documents, 1);
    assert_eq!(
        store
            .remove("c", &["/r/a".into(), "/r/none".into()])
            .unwrap(),
        1
    );
    assert!(!store.contains("c", &id).unwrap());
    assert!(lexical(store, "one", &Filter::default()).is_empty());
    assert!(nearest(store, [1.0, 0.0], &Filter::default(), IndexChoice::Exact).is_empty());
    assert!(store.drop_collection("c").unwrap() && !store.drop_collection("c").unwrap());
    assert!(store.collection("c").unwrap().is_none());
}

fn a_changed_file_replaces_its_version(store: &dyn Store) {
    open(store);
    store
        .put(&entry("/r/a", "h1", &[("old", [1.0, 0.0])]))
        .unwrap();
    let stored = store.put(&entry("/r/a", "h2", &[("new", [0.0, 1.0])]));
    assert_eq!(stored.unwrap(), Stored::Replaced);
    // A job that nobody waits for any more brings nothing back.
    let late = Entry {
        origin: Origin::Job,
        ..entry("/r/late", "h3", &[("late", [0.0, 1.0])])
    };
    assert_eq!(store.put(&late).unwrap(), Stored::Unwanted);
    assert!(store.source("c", "/r/late").unwrap().is_none());
    assert!(lexical(store, "old", &Filter::default()).is_empty());
    assert_eq!(lexical(store, "new", &Filter::default()), ["new"]);
    assert_eq!(store.collections().unwrap()[0].documents, 1);
}

fn two_paths_share_a_document(store: &dyn Store) {
    open(store);
    store
        .put(&entry("/r/a", "h1", &[("text", [1.0, 0.0])]))
        .unwrap();
    let attach = |hash: &str, path: &str| {
        let id = DocumentId(hash.into());
        store.attach("c", &id, &source(path), &Tags::new()).unwrap()
    };
    assert!(attach("h1", "/r/b") && !attach("gone", "/r/b"));
    store.remove("c", &["/r/a".into()]).unwrap();
    assert_eq!(lexical(store, "text", &Filter::default()), ["text"]);
    store
        .put(&entry("/r/c", "h2", &[("other", [0.0, 1.0])]))
        .unwrap();
    assert!(attach("h1", "/r/c"));
    assert!(!store.contains("c", &DocumentId("h2".into())).unwrap());
}

fn both_arms_find_and_filter(store: &dyn Store) {
    open(store);
    store
        .put(&entry(
            "/r/a",
            "h1",
            &[("red fish", [1.0, 0.0]), ("blue fish", [0.8, 0.6])],
        ))
        .unwrap();
    store
        .put(&entry("/q/b", "h2", &[("fish", [0.0, 1.0])]))
        .unwrap();
    let all = Filter::default();
    assert_eq!(
        lexical(store, "fish", &all)[0],
        "fish",
        "shorter text, same term"
    );
    assert_eq!(
        nearest(store, [1.0, 0.0], &all, IndexChoice::Exact),
        ["red fish", "blue fish", "fish"]
    );
    let filters = [
        Filter {
            path_prefixes: vec!["/q".into()],
            ..Filter::default()
        },
        Filter {
            tags: Tags::from([("kind".into(), "h2".into())]),
            ..Filter::default()
        },
    ];
    for filter in filters {
        assert_eq!(lexical(store, "fish", &filter), ["fish"]);
        assert_eq!(
            nearest(store, [1.0, 0.0], &filter, IndexChoice::Exact),
            ["fish"]
        );
    }
    let second = Filter {
        pages: Some((2, 9)),
        ..Filter::default()
    };
    assert_eq!(lexical(store, "fish", &second), ["blue fish"]);
    assert_eq!(
        nearest(store, [1.0, 0.0], &second, IndexChoice::Hnsw),
        ["blue fish"]
    );
    assert!(
        store
            .lexical(&open(store), &[], &all, 9)
            .unwrap()
            .is_empty()
    );
}

fn results_are_the_same_before_and_after_refresh(store: &dyn Store) {
    let collection = open(store);
    for i in 0..40u8 {
        let angle = f32::from(i) / 40.0;
        let text = format!("t{i}");
        let page = [(text.as_str(), [angle.cos(), angle.sin()])];
        store
            .put(&entry(&format!("/r/{i}"), &format!("h{i}"), &page))
            .unwrap();
    }
    let all = Filter::default();
    let before = nearest(store, [1.0, 0.0], &all, IndexChoice::Exact);
    assert_eq!(before[..3], ["t0", "t1", "t2"]);
    assert!(store.refresh(&collection, true).unwrap().vectors_rebuilt);
    assert!(store.refresh_graph(&collection, 10, true).unwrap());
    for index in [IndexChoice::Exact, IndexChoice::Hnsw] {
        assert_eq!(nearest(store, [1.0, 0.0], &all, index), before);
    }
    store.remove("c", &["/r/1".into()]).unwrap();
    store
        .put(&entry("/r/new", "hn", &[("late", [1.0, 0.01])]))
        .unwrap();
    for index in [IndexChoice::Exact, IndexChoice::Hnsw] {
        assert_eq!(
            nearest(store, [1.0, 0.0], &all, index)[..3],
            ["t0", "late", "t2"]
        );
    }
    let words = |term: &str| lexical(store, term, &all);
    assert_eq!(
        (words("late").len(), words("t1").len(), words("t2").len()),
        (1, 0, 1)
    );
    let refreshed = store.refresh(&collection, false).unwrap();
    assert!(refreshed.vectors_rebuilt && refreshed.postings_rebuilt);
    let again = store.refresh(&collection, false).unwrap();
    assert!(
        !again.vectors_rebuilt && !again.postings_rebuilt,
        "nothing is new"
    );
    assert_eq!(
        (words("late").len(), words("t1").len(), words("t2").len()),
        (1, 0, 1)
    );
    for index in [IndexChoice::Exact, IndexChoice::Hnsw] {
        assert_eq!(
            nearest(store, [1.0, 0.0], &all, index)[..3],
            ["t0", "late", "t2"]
        );
    }
    // What reached further than the chunks do now is gone with them.
    store.remove("c", &["/r/new".into()]).unwrap();
    store.refresh(&collection, true).unwrap();
    assert!(store.refresh_graph(&collection, 10, true).unwrap());
    store.refresh(&collection, false).unwrap();
    assert_eq!(store.collections().unwrap()[0].graph_chunks, 39);
    let frequencies = store.frequencies(&collection, &["late".into()]).unwrap();
    assert_eq!((frequencies.chunks, frequencies.with[0]), (39, 0));
    store
        .put(&entry("/r/new", "hn", &[("late", [1.0, 0.01])]))
        .unwrap();
    // Dead chunks that only an older graph still holds take nobody's place.
    for i in 3..23 {
        store.remove("c", &[format!("/r/{i}")]).unwrap();
    }
    assert!(store.refresh(&collection, true).unwrap().vectors_rebuilt);
    let exact = nearest(store, [1.0, 0.0], &all, IndexChoice::Exact);
    assert_eq!(exact[..5], ["t0", "late", "t2", "t23", "t24"]);
    assert_eq!(nearest(store, [1.0, 0.0], &all, IndexChoice::Hnsw), exact);
}

fn names_are_known_before_and_after_refresh(store: &dyn Store) {
    let collection = open(store);
    let pages = [
        ("## The harbour\nopens", [1.0, 0.0]),
        ("harbour # budget 예산안", [0.0, 1.0]),
    ];
    store
        .put(&Entry {
            parsed: Parsed {
                title: Some("Minutes".into()),
                ..entry("/r/a.md", "h1", &pages).parsed
            },
            ..entry("/r/a.md", "h1", &pages)
        })
        .unwrap();
    let asked = ["budget".to_owned(), "harbour".to_owned()];
    let found = store.lexical(&collection, &asked, &Filter::default(), 9);
    let mut chunks: Vec<i64> = found.unwrap().iter().map(|s| s.chunk).collect();
    chunks.sort_unstable();
    let sketch = |chunk, headings: &[usize], text: &str| Sketch {
        chunk,
        document: "/r/a.md".into(),
        title: Some("Minutes".into()),
        headings: headings.to_vec(),
        script: Script::of(text),
    };
    let expected = [
        sketch(chunks[0], &[1], pages[0].0),
        sketch(chunks[1], &[], pages[1].0),
    ];
    let gone = [chunks[0], 99, chunks[1]];
    for _ in 0..2 {
        let found = store.sketches(&collection, &asked, &gone).unwrap();
        assert_eq!(found, expected);
        store.refresh(&collection, true).unwrap();
    }
}

fn jobs_are_kept_and_settled(store: &dyn Store) {
    open(store);
    let id = DocumentId("h1".into());
    let mut job = Job::new("local", &id, 7);
    job.enter(JobState::Failed, Some("why".into()));
    store.save(&job).unwrap();
    let target = Target {
        collection: "c".into(),
        source: source("/r/a"),
        tags: Tags::new(),
        again: false,
    };
    store.add_target(&job.id, &target).unwrap();
    assert_eq!(store.job(&job.id).unwrap().as_ref(), Some(&job));
    let row = store.job_row(&job.id).unwrap().unwrap();
    assert_eq!(
        (row.targets.as_slice(), row.paths.len()),
        ([target].as_slice(), 1)
    );
    assert_eq!(store.open_jobs().unwrap().len(), 1);
    store
        .put(&entry("/r/a", "h1", &[("text", [1.0, 0.0])]))
        .unwrap();
    assert_eq!(
        store.job(&job.id).unwrap().unwrap().state,
        JobState::Completed
    );
    assert!(store.open_jobs().unwrap().is_empty());
    assert!(store.job("none").unwrap().is_none() && store.job_row("none").unwrap().is_none());
}

fn models_are_not_mixed(store: &dyn Store) {
    open(store);
    let error = store.open_collection("c", &model(3)).unwrap_err();
    assert!(
        error.to_string().contains("squall reembed -c 'c'"),
        "{error}"
    );
}

#[test]
fn the_embedded_store_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    check(&|| {
        made.set(made.get() + 1);
        let folder = root.path().join(made.get().to_string());
        Box::new(EmbeddedStore::open(&folder).unwrap())
    });
    assert_eq!(made.get(), 8);
}
