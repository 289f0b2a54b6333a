//! The command line as a layer of settings.

use super::{Layer, LogLevel};
use crate::cli::{Command, Global, Locking, Parsing, Reading, Retrieval};

/// The flags of any command as a layer.
pub(super) fn flags(global: &Global, command: &Command) -> Layer {
    let base = Layer {
        data_dir: global.data_dir.clone(),
        model: global.model.clone(),
        device: global.device,
        ..Layer::default()
    };
    match command {
        Command::Ingest(args) => Layer {
            collection: args.collection.clone(),
            ..parsing(&args.parsing)
        },
        Command::Query(args) => Layer {
            collection: args.scope.collection.clone(),
            top_k: args.top_k,
            ..retrieval(&args.retrieval)
        },
        Command::Eval(args) => Layer {
            collection: args.collection.clone(),
            ..retrieval(&args.retrieval)
        },
        Command::Inspect(args) => Layer {
            collection: args.collection.clone(),
            ..reading(&args.reading)
        },
        Command::Status(args) => parsing(&args.parsing),
        Command::Remove(args) => Layer {
            collection: args.collection.clone(),
            ..Layer::default()
        },
        Command::Verify(args) => locking(args),
        Command::Repair(args) => locking(&args.locking),
        Command::Export(args) => Layer {
            collection: args.collection.clone(),
            ..Layer::default()
        },
        Command::Import(args) => locking(&args.locking),
        Command::Reembed(args) => Layer {
            collection: args.collection.clone(),
            ..locking(&args.locking)
        },
        Command::Serve(args) => Layer {
            collection: args.collection.clone(),
            addr: args.addr,
            keep_originals: args.keep_originals,
            max_upload: args.max_upload.clone(),
            login: args.login.then_some(true),
            open_registration: args.open_registration.then_some(true),
            hosts: given(&args.hosts),
            proxies: given(&args.proxies),
            roots: given(&args.roots),
            rate_limit: args.rate_limit,
            log_dir: args.logging.log_dir.clone(),
            log_format: args.logging.log_format,
            log_level: args.logging.log_level.or(level(global)),
            log_size: args.logging.log_size.clone(),
            slow_query: args.logging.slow_query.clone(),
            ..parsing(&args.parsing)
        },
        Command::Mcp(args) => Layer {
            collection: args.collection.clone(),
            roots: given(&args.roots),
            ..Layer::default()
        },
        _ => Layer::default(),
    }
    .over(base)
}

/// What `-q` and `-v` ask a server to log.
fn level(global: &Global) -> Option<LogLevel> {
    match (global.quiet, global.verbose) {
        (true, _) => Some(LogLevel::Error),
        (false, 0) => None,
        (false, 1) => Some(LogLevel::Info),
        (false, _) => Some(LogLevel::Debug),
    }
}

fn given<T: Clone>(values: &[T]) -> Option<Vec<T>> {
    (!values.is_empty()).then(|| values.to_vec())
}

fn locking(args: &Locking) -> Layer {
    Layer {
        lock_timeout: args.lock_timeout.clone(),
        ..Layer::default()
    }
}

fn retrieval(args: &Retrieval) -> Layer {
    Layer {
        index: args.index,
        mode: args.mode,
        min_confidence: args.min_confidence,
        ..Layer::default()
    }
}

fn parsing(args: &Parsing) -> Layer {
    Layer {
        parser: args.parser,
        escalate: args.escalate.then_some(true),
        max_pages: args.max_pages,
        max_bytes: args.max_bytes.clone(),
        concurrency: args.concurrency,
        poll_interval: args.poll_interval.clone(),
        lock_timeout: args.lock_timeout.clone(),
        storm_api: args.storm_api,
        ..reading(&args.reading)
    }
}

fn reading(args: &Reading) -> Layer {
    Layer {
        parser_memory: args.parser_memory.clone(),
        timeout: args.timeout.clone(),
        language: args.language.clone(),
        ocr: args.ocr,
        json_template: args.json_template.clone(),
        ..Layer::default()
    }
}
