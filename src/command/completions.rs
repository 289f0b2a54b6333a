//! `squall completions SHELL`.

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::error::Exit;
use crate::present::Printer;

pub fn run(shell: clap_complete::Shell, printer: &Printer) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "squall", &mut script);
    printer.bytes(&script)?;
    Ok(Exit::Done)
}
