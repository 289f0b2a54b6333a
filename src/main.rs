//! Parse the arguments, start logging, run, exit.

use std::io::IsTerminal as _;

use clap::Parser as _;
use squall::cli::Cli;
use squall::error::{Exit, exit_of, is_broken_pipe};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let cli = Cli::parse();
    start_logging(cli.global.verbose, cli.global.quiet);
    let exit = squall::command::run(cli).unwrap_or_else(|error| {
        if !is_broken_pipe(&error) {
            squall::present::complain(&error);
        }
        exit_of(&error)
    });
    leave(exit)
}

/// Without waiting for threads that a hostile file may have hung.
fn leave(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}

/// Log lines go to stderr; `RUST_LOG` overrules the flags.
fn start_logging(verbose: u8, quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,squall=info",
        (false, _) => "info,squall=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}
