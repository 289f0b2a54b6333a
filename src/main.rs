//! Parse the arguments, run, exit.

use clap::Parser as _;
use squall::cli::Cli;
use squall::error::{Exit, exit_of, is_broken_pipe};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    use_small_pages();
    let cli = Cli::parse();
    let exit = squall::command::run(cli).unwrap_or_else(|error| {
        if !is_broken_pipe(&error) {
            squall::present::complain(&error);
        }
        exit_of(&error)
    });
    leave(exit)
}

/// Where the system gives pages of 2 MB unasked, it clears each as a whole: a `query` would spend a
/// third of its time and memory on what it never uses. Where this fails it is only slower.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Without waiting for threads that a hostile file may have hung.
fn leave(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}
