//! Commands around a server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Parsing;
use crate::accounts::Role;
use crate::settings::{LogFormat, LogLevel};

#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT", value_parser = crate::settings::parse_addr)]
    pub addr: Option<SocketAddr>,
    /// Keep the bytes of uploads, for download and parsing anew [default: true]
    #[arg(long, value_name = "BOOL")]
    pub keep_originals: Option<bool>,
    /// Largest upload, such as 50MB [default: 200MB]
    #[arg(long, value_name = "SIZE")]
    pub max_upload: Option<String>,
    /// Answer to this name, too, under which a proxy makes the server known; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Believe this address where it says whom a request comes from (X-Forwarded-For); may be repeated
    #[arg(long = "proxy", value_name = "ADDRESS")]
    pub proxies: Vec<IpAddr>,
    /// Ask for a login even where only this machine can reach the server; elsewhere there always is one
    #[arg(long)]
    pub login: bool,
    /// Let anybody make an account, as a reader
    #[arg(long)]
    pub open_registration: bool,
    /// Requests a second of one user or address, with short bursts of twice as many; 0 is no limit
    /// [default: 100 with a login, else 0]
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Allow MCP clients with the role to take in files below DIR; may be repeated
    #[arg(long = "root", value_name = "DIR")]
    pub roots: Vec<PathBuf>,
    /// Collection to take documents into and answer from [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    #[command(flatten)]
    pub logging: Logging,
    #[command(flatten)]
    pub parsing: Parsing,
}

/// What a server writes down.
#[derive(Debug, Args)]
pub struct Logging {
    /// Write app.log, error.log and access.log to DIR, too; a new file each day and when one is full
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged [default: info, or as -q and -v say]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Size of a full log file [default: 50MB]
    #[arg(long, value_name = "SIZE")]
    pub log_size: Option<String>,
    /// Log questions that took longer [default: 1s]
    #[arg(long, value_name = "TIME")]
    pub slow_query: Option<String>,
}

#[derive(Debug, Args)]
pub struct Mcp {
    /// Collection to answer from and take documents into [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Allow the model to take in files below DIR; may be repeated
    #[arg(long = "root", value_name = "DIR")]
    pub roots: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; the password is asked for, or read from stdin
    Add {
        /// Name to log in with
        username: String,
        /// What the user may do
        #[arg(long, default_value = "writer")]
        role: Role,
    },
    /// Change what a user may do
    Role {
        /// Name to log in with
        username: String,
        /// What the user may do from now on
        role: Role,
    },
    /// Give a user a new password, and end the sessions
    Password {
        /// Name to log in with
        username: String,
    },
    /// List the users
    List,
    /// Remove a user and end the sessions
    Remove {
        /// Name to log in with
        username: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, once
    Create {
        /// What to call it
        name: String,
        /// What it may be used for
        #[arg(long, default_value = "writer")]
        role: Role,
    },
    /// List the tokens, without their secrets
    List,
    /// End a token
    Revoke {
        /// What it is called
        name: String,
    },
}
