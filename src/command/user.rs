//! `squall user` and `squall token`: who may use a server.

use std::io::{BufRead as _, IsTerminal as _};

use crate::accounts::Accounts;
use crate::cli::{TokenCommand, UserCommand};
use crate::error::{Error, Exit};
use crate::present::{Printer, Report};
use crate::settings::Settings;

pub fn run(command: UserCommand, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let accounts = Accounts::open(&settings.data_dir)?;
    let report = match command {
        UserCommand::Add { username, role } => {
            let user = accounts.create_user(&username, &password()?, role)?;
            Report::Users { users: vec![user] }
        }
        UserCommand::Role { username, role } => {
            accounts.change_role(&username, role)?;
            Report::Users {
                users: accounts.users()?,
            }
        }
        UserCommand::Password { username } => {
            accounts.reset_password(&username, &password()?)?;
            Report::Users {
                users: accounts.users()?,
            }
        }
        UserCommand::List => Report::Users {
            users: accounts.users()?,
        },
        UserCommand::Remove { username } => {
            if !accounts.remove_user(&username)? {
                return Err(missing("user", &username));
            }
            Report::Users {
                users: accounts.users()?,
            }
        }
    };
    printer.print(&report)?;
    Ok(Exit::Done)
}

pub fn token(
    command: TokenCommand,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let accounts = Accounts::open(&settings.data_dir)?;
    let report = match command {
        TokenCommand::Create { name, role } => {
            let token = accounts.create_token(&name, role)?;
            Report::Token { name, role, token }
        }
        TokenCommand::List => Report::Tokens {
            tokens: accounts.tokens()?,
        },
        TokenCommand::Revoke { name } => {
            if !accounts.revoke_token(&name)? {
                return Err(missing("token", &name));
            }
            Report::Tokens {
                tokens: accounts.tokens()?,
            }
        }
    };
    printer.print(&report)?;
    Ok(Exit::Done)
}

fn missing(what: &str, name: &str) -> anyhow::Error {
    Error::NotFound(format!("there is no {what} '{name}'")).into()
}

/// A password from the terminal, where it is not shown, or the first line of stdin: never an argument,
/// which every process on the machine can see.
fn password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        return match rpassword::prompt_password("Again: ")? == password {
            true => Ok(password),
            false => Err(crate::usage!("the two passwords differ").into()),
        };
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
