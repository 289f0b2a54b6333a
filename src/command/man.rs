//! `squall man`: the manual page of the program and of each command, in roff.

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::error::Exit;
use crate::present::Printer;

pub fn run(printer: &Printer) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let mut roff = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut roff)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let man = clap_mangen::Man::new(sub.clone());
        man.render_name_section(&mut roff)?;
        man.render_synopsis_section(&mut roff)?;
        man.render_options_section(&mut roff)?;
    }
    printer.bytes(&roff)?;
    Ok(Exit::Done)
}
