//! `squall query QUESTION`, and `squall query -` for a question a line.

use std::io::BufRead as _;

use crate::answer::answer;
use crate::app;
use crate::cli;
use crate::document::{Answer, Filter};
use crate::embed::Embedder;
use crate::error::{Error, Exit};
use crate::ingest::identity;
use crate::present::{Printer, Report};
use crate::retrieve::retrieve;
use crate::settings::{IndexChoice, Settings};
use crate::store::{Collection, Store};
use crate::usage;

/// Longest question, in characters: far beyond any real one, far below what would stall a shell.
pub const MAX_QUESTION: usize = 10_000;

pub fn run(args: cli::Query, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    if args.question != "-" {
        check_question(&args.question)?;
    }
    let store = app::existing_store(settings)?;
    let embedder = app::embedder(settings)?;
    let asker = Asker {
        collection: collection(&*store, &settings.collection, &*embedder)?,
        store: &*store,
        embedder: &*embedder,
        filter: filter(&args.scope)?,
        top_k: settings.top_k,
        index: settings.index,
    };
    if args.question == "-" {
        return asker.answer_lines(printer);
    }
    let answer = asker.ask(&args.question)?;
    let answered = answer.answered;
    printer.print(&Report::Answer(answer))?;
    Ok(if answered { Exit::Done } else { Exit::NotFound })
}

/// Everything a question needs.
struct Asker<'a> {
    store: &'a dyn Store,
    embedder: &'a dyn Embedder,
    collection: Collection,
    filter: Filter,
    top_k: usize,
    index: IndexChoice,
}

impl Asker<'_> {
    fn ask(&self, question: &str) -> anyhow::Result<Answer> {
        check_question(question)?;
        let retrieved = retrieve(
            self.store,
            self.embedder,
            &self.collection,
            question,
            &self.filter,
            self.top_k,
            self.index,
        )?;
        answer(
            self.store,
            self.embedder,
            &self.collection,
            question,
            retrieved,
        )
    }

    /// One answer or error a line; blank lines are passed over.
    fn answer_lines(&self, printer: &Printer) -> anyhow::Result<Exit> {
        let (mut answered, mut refused) = (0, 0);
        for line in std::io::stdin().lock().split(b'\n') {
            let line = line.map_err(|error| usage!("cannot read the questions: {error}"))?;
            let Ok(question) = std::str::from_utf8(&line).map(str::trim) else {
                refused += 1;
                printer.json_line(&Report::Refusal {
                    error: "the question is not valid UTF-8".into(),
                })?;
                continue;
            };
            if question.is_empty() {
                continue;
            }
            match self.ask(question) {
                Ok(answer) => {
                    answered += u32::from(answer.answered);
                    printer.json_line(&Report::Answer(answer))?;
                }
                Err(error) if matches!(error.downcast_ref(), Some(Error::Usage(_))) => {
                    refused += 1;
                    printer.json_line(&Report::Refusal {
                        error: error.to_string(),
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match (answered, refused) {
            (_, 1..) => Exit::Partial,
            (0, 0) => Exit::NotFound,
            _ => Exit::Done,
        })
    }
}

/// Refuses questions that are none.
pub fn check_question(question: &str) -> Result<(), Error> {
    let length = question.chars().count();
    if question.trim().is_empty() {
        return Err(usage!("the question is empty"));
    }
    if length > MAX_QUESTION {
        return Err(usage!(
            "the question has {length} characters, the limit is {MAX_QUESTION}"
        ));
    }
    Ok(())
}

/// The collection to ask, embedded with the model at hand.
pub fn collection(
    store: &dyn Store,
    name: &str,
    embedder: &dyn Embedder,
) -> anyhow::Result<Collection> {
    let Some(found) = store.collection(name)? else {
        let names: Vec<String> = store
            .collections()?
            .into_iter()
            .map(|row| row.collection)
            .collect();
        return Err(match names.is_empty() {
            true => {
                Error::NotFound("nothing has been ingested yet: type `squall ingest FOLDER`".into())
            }
            false => usage!(
                "there is no collection '{name}'; there is {}",
                names.join(", ")
            ),
        }
        .into());
    };
    found.check(&identity(embedder))?;
    Ok(found)
}

fn filter(scope: &cli::Scope) -> anyhow::Result<Filter> {
    let mut path_prefixes = Vec::new();
    if let Some(prefix) = &scope.path_prefix {
        path_prefixes.push(crate::text::nfc(prefix));
        let mut absolute = super::stored_path(prefix)?;
        // `papers/` must not let `papers-old` through.
        if prefix.ends_with('/') && !absolute.ends_with('/') {
            absolute.push('/');
        }
        if !path_prefixes.contains(&absolute) {
            path_prefixes.push(absolute);
        }
    }
    Ok(Filter {
        path_prefixes,
        tags: scope.tags.iter().cloned().collect(),
        pages: scope.page,
    })
}
