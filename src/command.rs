//! One file a command: settings in, pipeline run, report out.

mod completions;
mod doctor;
mod eval;
mod export;
mod import;
mod ingest;
mod inspect;
mod interrupt;
mod man;
mod mcp;
mod optimize;
mod query;
mod reembed;
mod remove;
mod repair;
mod serve;
mod status;
mod user;
mod verify;

use crate::cli::{Cli, Command};
use crate::error::Exit;
use crate::logs;
use crate::parse::local::worker;
use crate::present::Printer;
use crate::settings::Settings;
use crate::store::EmbeddedStore;

/// Runs the command line and says how the process should exit.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    let printer = Printer::new(&cli.global);
    if !matches!(cli.command, Command::Serve(_)) {
        logs::start(cli.global.verbose, cli.global.quiet);
    }
    match cli.command {
        Command::Completions { shell } => return completions::run(shell, &printer),
        Command::Man => return man::run(&printer),
        Command::ParseWorker { memory } => {
            return worker::run(memory).map(|()| Exit::Done);
        }
        _ => {}
    }
    let settings = Settings::load(&cli.global, &cli.command)?;
    // What SQLite says of a damaged store as it is read is not for users.
    with(cli, &settings, &printer)
        .map_err(|error| EmbeddedStore::explain(error, &settings.data_dir))
}

fn with(cli: Cli, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Ingest(args) => ingest::run(args, settings, printer),
        Command::Query(args) => query::run(args, settings, printer),
        Command::Inspect(args) => inspect::run(args, settings, printer),
        Command::Status(args) => status::run(args, settings, printer),
        Command::Remove(args) => remove::run(args, settings, printer),
        Command::Mcp(_) => mcp::run(settings),
        Command::Serve(_) => serve::run(&cli, settings.clone(), printer),
        Command::User(command) => user::run(command, settings, printer),
        Command::Token(command) => user::token(command, settings, printer),
        Command::Optimize(args) => optimize::run(args, settings, printer),
        Command::Eval(args) => eval::run(args, settings, printer),
        Command::Reembed(_) => reembed::run(settings, printer),
        Command::Verify(_) => verify::run(settings, printer),
        Command::Repair(args) => repair::run(args, settings, printer),
        Command::Export(args) => export::run(args, settings, printer),
        Command::Import(args) => import::run(args, settings, printer),
        Command::Doctor => doctor::run(settings, printer),
        Command::Completions { .. } | Command::Man | Command::ParseWorker { .. } => Ok(Exit::Done),
    }
}

/// Runs async work on a runtime of its own; threads it leaves behind are not waited for.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// A path as the store spells it: absolute, NFC, without `.` and `..`.
fn stored_path(text: &str) -> anyhow::Result<String> {
    let absolute = std::path::absolute(text)
        .map_err(|error| crate::usage!("'{text}' is not a path: {error}"))?;
    let clean = crate::source::clean(&absolute);
    Ok(crate::text::nfc(&clean.to_string_lossy()))
}
