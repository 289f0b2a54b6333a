//! The child's side of the cage: takes requests from stdin and answers on stdout, under limits it
//! sets for itself before it looks at anything. Ends when its parent does, however that ends.

use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::mpsc;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::read::{self, Answer, Refusal, Request};
use crate::parse::ParseError;

/// Deeply nested PDFs recurse; the main thread's 8 MiB is not enough for the worst of them.
const STACK_BYTES: usize = 64 << 20;
/// Files a child may hold open at once: the three it has, and the one it reads.
const MOST_FILES: u64 = 16;
/// Longest request or answer, in bytes: [`super::MAX_TEXT`] where JSON escapes most of it.
pub const MAX_FRAME: usize = 512 << 20;

/// Serves requests until stdin ends. `memory` is what the process may allocate, in bytes.
///
/// # Errors
/// When the limits cannot be set or the parent speaks nonsense.
pub fn run(memory: u64) -> anyhow::Result<()> {
    close_inherited();
    confine(memory)?;
    // A page that panics is caught and reported; its backtrace is for nobody.
    std::panic::set_hook(Box::new(|_| ()));
    let (sender, requests) = mpsc::channel::<Request>();
    std::thread::Builder::new()
        .name("parse".into())
        .stack_size(STACK_BYTES)
        .spawn(move || work(&requests))
        .context("cannot start a parser thread")?;
    let mut input = std::io::stdin().lock();
    // Always reading, so that the end of the parent is noticed while a file is read.
    while let Some(frame) = read_frame(&mut input)? {
        sender.send(serde_json::from_slice(&frame)?)?;
    }
    Ok(())
}

fn work(requests: &mpsc::Receiver<Request>) {
    for request in requests {
        let answer = std::panic::catch_unwind(|| read::answer(&request)).unwrap_or_else(|_| {
            Answer::Refused(Refusal::from(ParseError::unreadable_here(
                "the parser crashed on this file",
                "the file is probably damaged; saving it anew in its own program often helps",
            )))
        });
        let sent = serde_json::to_vec(&answer)
            .map_err(std::io::Error::from)
            .and_then(|frame| write_frame(&mut std::io::stdout().lock(), &frame));
        if sent.is_err() {
            return;
        }
    }
}

/// Closes what the parent did not mean to hand on, such as descriptors its own shell left open.
fn close_inherited() {
    let Ok(listing) = std::fs::read_dir("/dev/fd") else {
        return;
    };
    let open: Vec<i32> = listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|&descriptor| descriptor > 2) {
        // SAFETY: this is the first thing the process does, so nobody in it owns a descriptor
        // beyond the three standard ones. The listing's own is closed already, which the first
        // call finds out.
        unsafe {
            if rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(descriptor)).is_ok() {
                drop(OwnedFd::from_raw_fd(descriptor));
            }
        }
    }
}

/// Sets what the system enforces. A limit the system does not know (macOS has no limit on memory)
/// is left out; the parent's time limit holds everywhere.
fn confine(memory: u64) -> anyhow::Result<()> {
    let limit = |resource, value| {
        let rlimit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, rlimit)
    };
    limit(Resource::Core, 0).context("cannot forbid core files")?;
    limit(Resource::Fsize, 0).context("cannot forbid writing")?;
    limit(Resource::Nofile, MOST_FILES).context("cannot limit open files")?;
    if cfg!(target_os = "linux") {
        limit(Resource::Data, memory).context("cannot limit memory")?;
    }
    Ok(())
}

/// Reads a length (u32, little endian) and as many bytes; `None` at the end of `input`.
fn read_frame(input: &mut impl Read) -> anyhow::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = u32::from_le_bytes(length) as usize;
    ensure!(length <= MAX_FRAME, "a request of {length} bytes");
    let mut frame = vec![0; length];
    input.read_exact(&mut frame)?;
    Ok(Some(frame))
}

fn write_frame(output: &mut impl Write, frame: &[u8]) -> std::io::Result<()> {
    output.write_all(&(frame.len() as u32).to_le_bytes())?;
    output.write_all(frame)?;
    output.flush()
}
