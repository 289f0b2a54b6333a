//! Files in ZIP archives, which are documents of their own: `papers.zip/2025/minutes.pdf`. They are unpacked
//! one by one, when they are read, into a temporary file that goes with whoever holds it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::document::Source;
use crate::text::{extension, nfc};

/// Most files of one archive.
const MOST: usize = 50_000;
/// Most bytes of one file in an archive, and of all.
const LARGEST: u64 = 1 << 30;
const LARGEST_IN_ALL: u64 = 100 << 30;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path in the archive, in NFC.
    pub name: String,
    /// Unpacked bytes, as the archive says.
    pub size: u64,
}

/// The files in an archive that is a folder of documents; `None` for what is a document itself, as Office
/// files are ZIP archives, too. Folders, hidden files and what macOS adds are left out.
///
/// # Errors
/// When it cannot be read as an archive, holds too many files or too much.
pub fn members(archive: &Path) -> Result<Option<Vec<Member>>, String> {
    let mut zip = open(archive).map_err(|error| error.to_string())?;
    if zip.len() > MOST {
        return Err(format!("it holds {} files, the limit is {MOST}", zip.len()));
    }
    let (mut members, mut all) = (Vec::new(), 0u64);
    for index in 0..zip.len() {
        let file = zip.by_index_raw(index).map_err(|error| error.to_string())?;
        let name = name(file.name_raw());
        if matches!(name.as_str(), "[Content_Types].xml" | "mimetype") {
            return Ok(None);
        }
        let is_left_out = |part: &str| part.starts_with('.') && part != ".." || part == "__MACOSX";
        if !file.is_dir() && !name.is_empty() && !name.split('/').any(is_left_out) {
            all = all.saturating_add(file.size());
            members.push(Member {
                name,
                size: file.size(),
            });
        }
    }
    if all > LARGEST_IN_ALL {
        return Err(format!(
            "it unpacks to more than {} GB",
            LARGEST_IN_ALL >> 30
        ));
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members.dedup_by(|b, a| a.name == b.name);
    Ok(Some(members))
}

type Zip = ZipArchive<BufReader<File>>;

fn open(archive: &Path) -> Result<Zip, ZipError> {
    ZipArchive::new(BufReader::new(File::open(archive)?))
}

/// UTF-8, or what Korean programs of before wrote; without a `./` or `/` before it. It only names the file:
/// nothing is ever written there.
fn name(raw: &[u8]) -> String {
    let text = match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::EUC_KR.decode_without_bom_handling(raw).0,
    };
    let text = nfc(&text.replace('\\', "/"));
    let parts = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

/// The member of an archive that `source` stands for, if it does: its path goes on below its file's.
pub fn member(source: &Source) -> Option<&str> {
    let archive = nfc(source.file.to_str()?);
    source.path.strip_prefix(&archive)?.strip_prefix('/')
}

/// An archive that was opened: its files come one after the other, and each opening reads all their names.
struct Opened {
    file: PathBuf,
    modified: i64,
    zip: Zip,
    places: HashMap<String, usize>,
}

static LAST: Mutex<Option<Opened>> = Mutex::new(None);

/// Runs `work` on the archive of `source`, which is opened unless it was the last one.
fn with_archive<T>(
    source: &Source,
    work: impl FnOnce(&mut Opened) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last.take_if(|open| (&open.file, open.modified) == (&source.file, source.modified));
    let mut opened = match known {
        Some(opened) => opened,
        None => {
            let zip = open(&source.file)?;
            let names = zip.file_names_raw().map(name).enumerate();
            Opened {
                file: source.file.clone(),
                modified: source.modified,
                places: names.map(|(at, name)| (name, at)).collect(),
                zip,
            }
        }
    };
    let done = work(&mut opened);
    *last = Some(opened);
    done
}

/// A source whose bytes are in a file of their own.
pub struct Unpacked {
    source: Source,
    /// Goes when this does.
    _file: Option<NamedTempFile>,
}

impl Unpacked {
    /// The same source, its file to be read as it is.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

/// Unpacks what is in an archive; other sources come back as they are.
///
/// # Errors
/// What the archive or the disk does not allow; a password among it.
pub fn unpack(source: &Source) -> io::Result<Unpacked> {
    let Some(member) = member(source) else {
        return Ok(Unpacked {
            source: source.clone(),
            _file: None,
        });
    };
    let to = with_archive(source, |opened| {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "it is not in the archive any more");
        let index = *opened.places.get(member).ok_or_else(gone)?;
        let file = opened.zip.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(why) if why.contains("assword") => {
                io::Error::other("it is protected with a password in its archive")
            }
            error => error.into(),
        })?;
        let mut to = tempfile::Builder::new()
            .prefix("squall-")
            .suffix(&format!(".{}", extension(member)))
            .tempfile()?;
        let most = LARGEST.min(file.size());
        let size = io::copy(&mut file.take(most + 1), to.as_file_mut())?;
        if size > most {
            let limit = LARGEST >> 20;
            let why = format!("it unpacks to more than it says, or than {limit} MB");
            return Err(io::Error::other(why));
        }
        Ok(to)
    })?;
    let unpacked = Source {
        file: PathBuf::from(to.path()),
        ..source.clone()
    };
    Ok(Unpacked {
        source: unpacked,
        _file: Some(to),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn archive(dir: &Path, names: &[&[u8]]) -> PathBuf {
        let path = dir.join("a.zip");
        let stand_in = |at: usize, name: &[u8]| "QXZ"[at..=at].repeat(name.len());
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (at, name) in names.iter().enumerate() {
            writer.start_file(stand_in(at, name), options).unwrap();
            writer.write_all(b"text of ").unwrap();
            writer.write_all(name).unwrap();
        }
        writer.finish().unwrap();
        // Names that are no UTF-8 can only be put in afterwards.
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, name) in names.iter().enumerate() {
            let written = stand_in(at, name).into_bytes();
            let places: Vec<usize> = bytes
                .windows(written.len())
                .enumerate()
                .filter(|(_, window)| *window == written.as_slice())
                .map(|(at, _)| at)
                .collect();
            for place in places {
                bytes[place..place + name.len()].copy_from_slice(name);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn files_are_listed_and_unpacked_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let (korean, _, _) = encoding_rs::EUC_KR.encode("보고/회의안내.txt");
        let path = archive(
            dir.path(),
            &[b"b/long-name.txt", &korean, b"__MACOSX/._b.txt"],
        );
        let found = members(&path).unwrap().unwrap();
        let names: Vec<&str> = found.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["b/long-name.txt", "보고/회의안내.txt"]);
        let source = Source {
            path: format!("{}/보고/회의안내.txt", path.display()),
            file: path.clone(),
            root: String::new(),
            size: 0,
            modified: 0,
        };
        let unpacked = unpack(&source).unwrap();
        let bytes = std::fs::read(&unpacked.source().file).unwrap();
        assert!(bytes.starts_with(b"text of ") && bytes.ends_with(b".txt"));
        let gone = unpacked.source().file.clone();
        drop(unpacked);
        assert!(!gone.exists());
    }

    #[test]
    fn office_files_are_no_folders_and_other_files_no_archives() {
        let dir = tempfile::tempdir().unwrap();
        let path = archive(dir.path(), &[b"[Content_Types].xml"]);
        assert_eq!(members(&path), Ok(None));
        std::fs::write(&path, "no archive").unwrap();
        assert!(members(&path).is_err());
    }
}
