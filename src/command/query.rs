//! `squall query QUESTION`, and `squall query -` for a question a line.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use crate::app;
use crate::ask::{Asker, check_question, collection_to_ask};
use crate::cli;
use crate::document::{Answer, Filter};
use crate::error::{Error, Exit};
use crate::present::{Printer, Report, say};
use crate::retrieve::Search;
use crate::settings::Settings;
use crate::usage;

pub fn run(args: cli::Query, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    if args.question != "-" {
        check_question(&args.question)?;
    }
    let store = app::store_to_read(settings)?;
    let models = app::models_to_ask(settings)?;
    let filter = filter(&args.scope)?;
    let opened = begun.elapsed();
    // Looked up for every question: a collection may be made anew while a stream is answered.
    let ask = |question: &str| {
        let (collection, embedder) = collection_to_ask(&*store, &settings.collection, &models)?;
        let asker = Asker {
            search: Search {
                store: &*store,
                embedder: &*embedder,
                collection,
                filter: filter.clone(),
                index: settings.index,
                mode: settings.mode,
            },
            top_k: settings.top_k,
            min_confidence: settings.min_confidence,
        };
        let start = Instant::now();
        let mut answer = asker.ask(question)?;
        if args.timings {
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            answer.timings_ms.insert("open", ms(opened));
            answer
                .timings_ms
                .insert("total", ms(opened + start.elapsed()));
            say(&timings(&answer));
        }
        Ok(answer)
    };
    if args.question == "-" {
        collection_to_ask(&*store, &settings.collection, &models)?;
        return answer_lines(&ask, printer);
    }
    let answer = ask(&args.question)?;
    let answered = answer.answered;
    printer.print(&Report::Answer(answer))?;
    Ok(if answered { Exit::Done } else { Exit::NotFound })
}

/// A stage a line, the longest first.
fn timings(answer: &Answer) -> String {
    let mut stages: Vec<(&str, f64)> = answer.timings_ms.iter().map(|(s, ms)| (*s, *ms)).collect();
    stages.sort_by(|a, b| b.1.total_cmp(&a.1));
    let lines = stages
        .iter()
        .map(|(stage, ms)| format!("{ms:9.2} ms  {stage}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// One answer or error a line; blank lines are passed over.
fn answer_lines(
    ask: &dyn Fn(&str) -> anyhow::Result<Answer>,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let (mut answered, mut refused) = (0, 0);
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| usage!("cannot read the questions: {error}"))?;
        let Ok(question) = std::str::from_utf8(&line).map(bare) else {
            refused += 1;
            printer.json_line(&Report::Refusal {
                error: "the question is not valid UTF-8".into(),
            })?;
            continue;
        };
        if question.is_empty() {
            continue;
        }
        match ask(question) {
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

/// Without blanks around it, and without the mark some editors begin a file with.
fn bare(line: &str) -> &str {
    line.trim_start_matches('\u{FEFF}').trim()
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
    let modified = crate::settings::between(scope.since, scope.until)?;
    Ok(Filter {
        modified,
        path_prefixes,
        tags: scope.tags.iter().cloned().collect(),
        pages: scope.page,
    })
}
