//! Scenarios run with the real program in a temporary home, against real files and a scripted
//! Storm server. One binary, so that the crate is linked once.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod accepted;
mod access;
mod api;
mod attacks;
mod bad_input;
mod cage;
mod corruption;
mod crash;
mod crowd;
mod documents;
mod escalate;
mod eval;
mod faults;
mod formats;
mod golden;
mod ingest;
mod inspect;
mod mcp;
mod mend;
mod openai;
mod operate;
mod quality;
mod query;
mod resume;
mod room;
mod serve;
mod shell;
mod storm;
mod survey;
mod transfer;
