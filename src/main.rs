//! Parse the arguments, start logging, run, exit.

use std::io::IsTerminal as _;

use clap::Parser as _;
use squall::cli::Cli;
use squall::error::{Exit, exit_of, is_broken_pipe};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    use_small_pages();
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

/// The allocator asks for pages of 2 MB, and the system clears each as a whole: a `query` would spend
/// a third of its time and memory on what it never uses. Where this fails it is only slower.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
