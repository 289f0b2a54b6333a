//! Finding the files to ingest: folders walked, globs applied, lists read. Nothing is opened but ZIP
//! archives, which are walked like folders.

mod member;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};

pub use self::member::{Unpacked, member, members, unpack};
use crate::document::Source;
use crate::text::{extension, nfc};
use crate::usage;

/// The extension of files that are walked like folders.
const ARCHIVE: &str = "zip";

/// What the user asked to take in.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub paths: Vec<PathBuf>,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub gitignore: bool,
    /// Walk into folders that are symbolic links.
    pub follow: bool,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    File(Source),
    /// In a folder, but of a kind the parser does not take.
    Unsupported {
        path: String,
    },
    /// Named or met, but not to be had.
    Unusable {
        path: String,
        reason: String,
        hint: Option<String>,
    },
}

/// Paths from `--files-from`: one a line, or NUL-terminated.
pub fn read_list(from: &Path, null: bool) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable =
        |error: std::io::Error| usage!("cannot read the list {}: {error}", from.display());
    let mut bytes = Vec::new();
    if from == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(from).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .map_err(unreadable)?;
    let separator = if null { 0 } else { b'\n' };
    Ok(bytes
        .split(|&byte| byte == separator)
        .map(|line| match line {
            [line @ .., b'\r'] if !null => line,
            line => line,
        })
        .filter(|line| !line.is_empty())
        .map(|line| PathBuf::from(OsString::from_vec(line.to_vec())))
        .collect())
}

/// Walks the selection in a fixed order and hands over what it finds, each file once; `take`
/// returns false to stop. Files the user named are taken whatever their kind; in folders only
/// those with one of `extensions`.
///
/// # Errors
/// A glob that is none.
pub fn walk(
    selection: &Selection,
    extensions: &[&str],
    take: &mut dyn FnMut(Found) -> bool,
) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    let mut once = |found: Found| match &found {
        Found::File(source) if !seen.insert(source.path.clone()) => true,
        _ => take(found),
    };
    for path in &selection.paths {
        let root = match std::path::absolute(path) {
            Ok(root) => clean(&root),
            Err(error) => {
                let path = path.display().to_string();
                once(unusable(path, error.to_string(), None));
                continue;
            }
        };
        let go_on = match std::fs::metadata(&root) {
            Ok(meta) if meta.is_dir() => {
                let globs = globs(&root, selection)?;
                walk_folder(&root, globs, selection, extensions, &mut once)
            }
            Ok(meta) if meta.is_file() => give(file(&root, &root), extensions, None, &mut once),
            Ok(_) => once(unusable(
                root.display().to_string(),
                "is neither a file nor a folder".into(),
                None,
            )),
            Err(error) => once(missing(&root, &error)),
        };
        if !go_on {
            break;
        }
    }
    Ok(())
}

fn walk_folder(
    root: &Path,
    globs: Override,
    selection: &Selection,
    extensions: &[&str],
    take: &mut dyn FnMut(Found) -> bool,
) -> bool {
    let gitignore = selection.gitignore;
    let members_globs = globs.clone();
    let walker = WalkBuilder::new(root)
        .standard_filters(false)
        // An --include would let hidden files through the walker's own rule.
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()))
        .git_ignore(gitignore)
        .git_exclude(gitignore)
        .ignore(gitignore)
        .parents(gitignore)
        .require_git(false)
        .follow_links(selection.follow)
        .overrides(globs)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .build();
    for entry in walker {
        let found = match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => continue,
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                in_folder(root, entry.path(), extensions)
            }
            Ok(entry) if entry.path_is_symlink() => match linked(root, entry.path(), extensions) {
                Some(found) => found,
                None => continue,
            },
            // Sockets, pipes and devices hold no documents.
            Ok(_) => continue,
            Err(error) => match walk_error(root, &error) {
                Some(found) => found,
                None => continue,
            },
        };
        if !give(found, extensions, Some(&members_globs), take) {
            return false;
        }
    }
    true
}

/// Hands a finding over, or what is in it if it is an archive.
fn give(
    found: Found,
    extensions: &[&str],
    globs: Option<&Override>,
    take: &mut dyn FnMut(Found) -> bool,
) -> bool {
    let Found::File(source) = found else {
        return take(found);
    };
    if extension(&source.path) != ARCHIVE {
        return take(Found::File(source));
    }
    let members = match member::members(&source.file) {
        Ok(Some(members)) => members,
        Ok(None) => return take(Found::File(source)),
        Err(error) => {
            let reason = format!("cannot be read as a ZIP archive: {error}");
            return take(unusable(source.path, reason, None));
        }
    };
    members.into_iter().all(|member| {
        let path = format!("{}/{}", source.path, member.name);
        if globs.is_some_and(|globs| globs.matched(&path, false).is_ignore()) {
            return true;
        }
        match extensions.contains(&extension(&member.name).as_str()) {
            true => take(Found::File(Source {
                path,
                size: member.size,
                ..source.clone()
            })),
            false => take(Found::Unsupported { path }),
        }
    })
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// A file met in a folder.
fn in_folder(root: &Path, path: &Path, extensions: &[&str]) -> Found {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if extension == ARCHIVE || extensions.contains(&extension.as_str()) {
        file(root, path)
    } else {
        Found::Unsupported {
            path: path.display().to_string(),
        }
    }
}

/// A symbolic link met without `follow`: to a file it is as good as the file, to a folder it may
/// lead out of what the user named.
fn linked(root: &Path, path: &Path, extensions: &[&str]) -> Option<Found> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Some(in_folder(root, path, extensions)),
        Ok(meta) if meta.is_dir() => {
            tracing::info!("not following {}: --follow does", path.display());
            None
        }
        Ok(_) => None,
        Err(error) => Some(missing(path, &error)),
    }
}

/// A link that leads back up is no loss; all else is worth a word.
fn walk_error(root: &Path, error: &ignore::Error) -> Option<Found> {
    if let ignore::Error::Loop { child, ancestor } = innermost(error) {
        tracing::info!(
            "not following {}: it leads back to {}",
            child.display(),
            ancestor.display()
        );
        return None;
    }
    let path = match error {
        ignore::Error::WithPath { path, .. } => path.clone(),
        ignore::Error::WithDepth { err, .. } => match &**err {
            ignore::Error::WithPath { path, .. } => path.clone(),
            _ => root.to_path_buf(),
        },
        _ => root.to_path_buf(),
    };
    let reason = match error.io_error() {
        Some(io) => format!("cannot be read: {io}"),
        None => innermost(error).to_string(),
    };
    Some(unusable(path.display().to_string(), reason, None))
}

fn innermost(error: &ignore::Error) -> &ignore::Error {
    match error {
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => innermost(err),
        other => other,
    }
}

fn globs(root: &Path, selection: &Selection) -> anyhow::Result<Override> {
    let mut builder = OverrideBuilder::new(root);
    let mut add = |flag: &str, glob: &str, line: String| {
        builder
            .add(&line)
            .map(drop)
            .map_err(|error| usage!("{flag} '{glob}' is not a glob: {error}"))
    };
    for glob in &selection.include {
        add("--include", glob, nfc(glob))?;
    }
    // Archives are looked into for what is included.
    if !selection.include.is_empty() {
        add("--include", "*.zip", format!("*.{ARCHIVE}"))?;
    }
    for glob in &selection.exclude {
        add("--exclude", glob, format!("!{}", nfc(glob)))?;
    }
    Ok(builder.build()?)
}

fn file(root: &Path, path: &Path) -> Found {
    let (Some(name), Some(root)) = (path.to_str(), root.to_str()) else {
        return unusable(
            path.display().to_string(),
            "the file name is not valid UTF-8".into(),
            Some("rename it".into()),
        );
    };
    match std::fs::metadata(path) {
        Ok(meta) => Found::File(Source {
            path: nfc(name),
            file: path.to_path_buf(),
            root: nfc(root),
            size: meta.len(),
            modified: meta.modified().map_or(0, nanoseconds),
        }),
        Err(error) => missing(path, &error),
    }
}

fn missing(path: &Path, error: &std::io::Error) -> Found {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".into(),
        _ => format!("cannot be read: {error}"),
    };
    unusable(path.display().to_string(), reason, None)
}

fn unusable(path: String, reason: String, hint: Option<String>) -> Found {
    Found::Unusable { path, reason, hint }
}

fn nanoseconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

/// `a/./b/../c` as `a/c`, without following links.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
