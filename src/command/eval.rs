//! `squall eval FILE|DIR`: how good are the answers?

use std::io::{BufWriter, Write};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::interrupt;
use crate::app;
use crate::ask::{Asker, check_question, collection_to_ask};
use crate::cli;
use crate::document::Filter;
use crate::error::{Error, Exit};
use crate::eval::{self, Evaluation, Plan, Question};
use crate::present::{Printer, Report};
use crate::retrieve::Search;
use crate::settings::Settings;
use crate::store::{EmbeddedStore, Store};
use crate::usage;

pub fn run(args: cli::Eval, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let set = eval::read(&args.path, &args.split)?;
    let mut questions = set.questions;
    questions.truncate(args.limit.map_or(usize::MAX, usize::from));
    if questions.is_empty() {
        return Err(usage!("there is no question in {}", args.path.display()).into());
    }
    for question in &questions {
        check_question(&question.text).map_err(|error| {
            usage!(
                "question {} of {}: {error}",
                question.id,
                args.path.display()
            )
        })?;
    }
    if set.corpus.is_some() && args.collection.is_some() {
        return Err(usage!(
            "{} has documents of its own, leave out -c",
            args.path.display()
        )
        .into());
    }
    let mut out = details(&args)?;
    let stop = CancellationToken::new();
    let _runtime = interrupt::watch_beside(
        &stop,
        printer.log_observer(),
        "stopping; press Ctrl-C again to stop at once",
    )?;
    let models = app::models(settings)?;
    let (store, name) = match &set.corpus {
        Some(corpus) => {
            let bar = printer.counter("documents embedded");
            let store =
                eval::open_corpus(corpus, &settings.cache_dir, &models, &stop, &|n, of| {
                    bar.at(n, of);
                })?;
            bar.finish();
            (Arc::new(store), eval::COLLECTION)
        }
        None => (app::store_to_read(settings)?, settings.collection.as_str()),
    };
    let (collection, embedder) = collection_to_ask(&*store, name, &models)?;
    let asker = Asker {
        search: Search {
            store: &*store,
            embedder: &*embedder,
            collection,
            filter: Filter::default(),
            index: settings.index,
            mode: settings.mode,
        },
        top_k: settings.top_k,
        min_confidence: settings.min_confidence,
    };
    let bar = printer.counter("questions");
    let plan = Plan {
        retrieval_only: args.retrieval_only,
    };
    let done = eval::run(
        &asker,
        &questions,
        &plan,
        out.as_mut().map(|out| out as &mut dyn Write),
        &|number| {
            bar.at(number, questions.len());
            match stop.is_cancelled() {
                true => Err(Error::Interrupted.into()),
                false => Ok(()),
            }
        },
    )?;
    bar.finish();
    if let Some(mut out) = out {
        out.flush()?;
    }
    let missing_documents = missing(&store, name, &questions)?;
    printer.print(&Report::Evaluated(Box::new(Evaluation {
        missing_documents,
        ..done
    })))?;
    Ok(Exit::Done)
}

fn details(args: &cli::Eval) -> anyhow::Result<Option<BufWriter<std::fs::File>>> {
    let Some(path) = &args.out else {
        return Ok(None);
    };
    if path.canonicalize().ok() == args.path.canonicalize().ok() {
        return Err(usage!("--out {} would replace the questions", path.display()).into());
    }
    let file = std::fs::File::create(path)
        .map_err(|error| usage!("cannot write {}: {error}", path.display()))?;
    Ok(Some(BufWriter::new(file)))
}

/// Documents that the questions name and the collection lacks: a wrong name reads as a bad ranking.
fn missing(
    store: &EmbeddedStore,
    collection: &str,
    questions: &[Question],
) -> anyhow::Result<Vec<String>> {
    let sources = store.sources(collection, "")?;
    let paths: std::collections::HashSet<&str> =
        sources.iter().map(|row| row.source.path.as_str()).collect();
    let held =
        |name: &str| paths.contains(name) || paths.iter().any(|path| eval::is_document(path, name));
    let mut missing: Vec<String> = questions
        .iter()
        .filter(|question| question.answerable)
        .flat_map(|question| &question.relevant)
        .map(|judged| judged.document.clone())
        .collect();
    missing.sort();
    missing.dedup();
    missing.retain(|name| !held(name));
    Ok(missing)
}
