//! Squall turns a folder of documents into cited answers, in one binary.
//!
//! ```text
//! source -> parse -> chunk -> embed -> store        (ingest)
//! question -> retrieve -> answer -> present | serve (query)
//! ```
//!
//! Stages know [`document`] and [`error`], never each other. [`ingest`], [`retrieve`] and
//! [`answer`] know the traits [`parse::Parser`], [`embed::Embedder`] and [`store::Store`]; the one
//! place that names implementations is [`app`].

pub mod accounts;
pub mod answer;
pub mod app;
pub mod ask;
pub mod chunk;
pub mod cli;
pub mod command;
pub mod document;
pub mod embed;
pub mod error;
pub mod eval;
pub mod extract;
pub mod ingest;
pub mod inspect;
pub mod ledger;
pub mod logs;
pub mod mcp;
pub mod parse;
pub mod present;
pub mod progress;
pub mod reembed;
pub mod retrieve;
pub mod serve;
pub mod service;
pub mod settings;
pub mod source;
pub mod store;
pub mod terms;
pub mod text;

/// What `--version` prints: the version, the model inside, what the program was built for.
pub fn build_facts() -> &'static str {
    use std::env::consts::{ARCH, OS};
    static FACTS: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        format!(
            "{}\nmodels: all-MiniLM-L6-v2 (minilm), multilingual-e5-small (multilingual), built in\n\
             build: {profile}, {ARCH}, {OS}\nstore: SQLite {}, parsers: local, storm (API v1, v2)",
            env!("CARGO_PKG_VERSION"),
            rusqlite::version()
        )
    });
    &FACTS
}
