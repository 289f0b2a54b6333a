//! ZIP containers, as OOXML, HWPX, OpenDocument and EPUB files are, with limits.

use std::io::{Cursor, Read};

use flate2::read::DeflateDecoder;
use zip::ZipArchive;

use crate::parse::ParseError;

/// Most bytes of one part of a container once it is unpacked.
const MOST: u64 = 256 << 20;
/// Most bytes of all parts that are read.
const MOST_IN_ALL: u64 = 1 << 30;
/// What each part begins with in the file.
const LOCAL: &[u8] = b"PK\x03\x04";

/// A container whose parts are read by name.
pub struct Archive<'a> {
    bytes: &'a [u8],
    /// Without its directory, a container is read by the headers of its parts.
    zip: Option<ZipArchive<Cursor<&'a [u8]>>>,
    names: Vec<String>,
    /// Where the headers are, in the order of the names, where there is no directory.
    places: Vec<usize>,
    /// Unpacked so far.
    read: u64,
}

impl<'a> Archive<'a> {
    /// # Errors
    /// When it is no ZIP file, and there is no part in it either.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let opened = ZipArchive::new(Cursor::new(bytes));
        let mut archive = Self {
            bytes,
            zip: None,
            names: Vec::new(),
            places: Vec::new(),
            read: 0,
        };
        match opened {
            Ok(zip) => {
                archive.names = zip.file_names_raw().map(decoded).collect();
                archive.zip = Some(zip);
                Ok(archive)
            }
            Err(error) => {
                (archive.names, archive.places) = salvage(bytes).into_iter().unzip();
                match archive.names.is_empty() {
                    false => Ok(archive),
                    true => Err(ParseError::unreadable_here(
                        format!("its container is damaged or incomplete ({error})"),
                        "download or export it again",
                    )),
                }
            }
        }
    }

    /// Whether the directory is lost, and perhaps parts with it.
    pub fn is_damaged(&self) -> bool {
        self.zip.is_none()
    }

    /// The same container with a directory, for readers that need one.
    pub fn rebuilt(&mut self) -> Option<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        for (index, name) in self.names.clone().into_iter().enumerate() {
            let Ok(part) = self.at(index) else { continue };
            if writer.start_file(name, stored).is_ok() {
                std::io::Write::write_all(&mut writer, &part).ok()?;
            }
        }
        Some(writer.finish().ok()?.into_inner())
    }

    /// Whether an OpenDocument or hwpx file is encrypted.
    pub fn is_encrypted(&mut self) -> bool {
        let manifest = self.optional("META-INF/manifest.xml");
        let said = b"encryption-data";
        manifest.windows(said.len()).any(|window| window == said)
    }

    /// The names of all parts.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names that begin with `start` and end with `.xml`, by the number in them.
    pub fn numbered(&self, start: &str) -> Vec<String> {
        let number = |name: &String| -> Option<u32> {
            let lower = name.to_lowercase();
            let rest = lower.strip_prefix(&start.to_lowercase())?;
            rest.strip_suffix(".xml")?.parse().ok()
        };
        let mut names: Vec<(u32, String)> = self
            .names
            .iter()
            .filter_map(|name| Some((number(name)?, name.clone())))
            .collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// One part, `None` where there is none of this name. Case does not matter, as some programs write
    /// what others do not.
    ///
    /// # Errors
    /// What is damaged, encrypted or larger than a document needs.
    pub fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, ParseError> {
        let name = name.trim_start_matches('/');
        let same = |other: &String| other.replace('\\', "/").eq_ignore_ascii_case(name);
        let found = self.names.iter().position(|other| other == name);
        match found.or_else(|| self.names.iter().position(same)) {
            Some(index) => self.at(index).map(Some),
            None => Ok(None),
        }
    }

    /// The part with the name at `index`.
    ///
    /// # Errors
    /// As [`Archive::part`].
    pub fn at(&mut self, index: usize) -> Result<Vec<u8>, ParseError> {
        let name = self.names.get(index).cloned().unwrap_or_default();
        let damaged = |error: String| {
            let hint = "download or export it again";
            ParseError::unreadable_here(format!("its part {name} is damaged ({error})"), hint)
        };
        let part: Box<dyn Read + '_> = match &mut self.zip {
            Some(zip) => match zip.by_index(index) {
                Ok(part) => Box::new(part),
                Err(zip::result::ZipError::UnsupportedArchive(why)) if why.contains("assword") => {
                    return Err(password());
                }
                Err(error) => return Err(damaged(error.to_string())),
            },
            None => Box::new(local(self.bytes, self.places[index])),
        };
        let most = MOST.min(MOST_IN_ALL.saturating_sub(self.read));
        let mut bytes = Vec::new();
        let ended = part.take(most + 1).read_to_end(&mut bytes);
        self.read += bytes.len() as u64;
        if bytes.len() as u64 > most {
            return Err(ParseError::unreadable_here(
                format!("its part {name} unpacks to more than {} MB", most >> 20),
                "split it",
            ));
        }
        match ended {
            Ok(_) => Ok(bytes),
            // A wrong checksum at the end of a part that can be read harms less than no text.
            Err(_) if !bytes.is_empty() => Ok(bytes),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// One part that must be there.
    ///
    /// # Errors
    /// As [`Archive::part`], and when there is none.
    pub fn needed(&mut self, name: &str) -> Result<Vec<u8>, ParseError> {
        self.part(name)?.ok_or_else(|| {
            ParseError::unreadable_here(
                format!("its container has no {name}"),
                "download or export it again",
            )
        })
    }

    /// One part that is not missed where it cannot be read.
    pub fn optional(&mut self, name: &str) -> Vec<u8> {
        self.part(name).ok().flatten().unwrap_or_default()
    }
}

/// Names are UTF-8, or what Korean programs of before wrote.
fn decoded(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => encoding_rs::EUC_KR
            .decode_without_bom_handling(name)
            .0
            .into_owned(),
    }
}

/// Names and places of the parts of a container whose directory is lost, as when a download was cut.
fn salvage(bytes: &[u8]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(place) = bytes[at..].windows(4).position(|window| window == LOCAL) {
        let start = at + place;
        at = start + 4;
        let length = bytes
            .get(start + 26..start + 28)
            .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        let name = bytes.get(start + 30..start + 30 + usize::from(length));
        let name = name.filter(|name| !name.is_empty() && name.iter().all(|byte| *byte >= b' '));
        found.extend(name.map(|name| (decoded(name), start)));
    }
    found
}

/// The content of the part whose header is at `start`, as far as it is there.
fn local(bytes: &[u8], start: usize) -> Box<dyn Read + '_> {
    let u16_at = |at: usize| {
        bytes
            .get(start + at..start + at + 2)
            .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    };
    let from = start + 30 + usize::from(u16_at(26)) + usize::from(u16_at(28));
    let rest = bytes.get(from..).unwrap_or_default();
    match u16_at(8) {
        8 => Box::new(DeflateDecoder::new(rest)),
        _ => {
            let size = u32::from(u16_at(18)) | u32::from(u16_at(20)) << 16;
            Box::new(rest.take(u64::from(size)))
        }
    }
}

/// `../notes/n.xml` seen from `ppt/slides` is `ppt/notes/n.xml`.
pub fn resolve(folder: &str, target: &str) -> String {
    if let Some(whole) = target.strip_prefix('/') {
        return whole.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." => {}
            part => path.push(part),
        }
    }
    path.join("/")
}

/// The error for a document in which this is wrong.
pub fn broken(why: impl Into<String>) -> ParseError {
    ParseError::unreadable_here(why, "saving it anew in its own program often helps")
}

/// The error for a document that only opens with a password.
pub fn password() -> ParseError {
    ParseError::with_hint(
        "the document is protected with a password",
        "save a copy without the password and ingest that",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn container() -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for name in ["a/one.xml", "a/part10.xml", "a/part2.xml"] {
            writer.start_file(name, options).unwrap();
            writer.write_all(name.repeat(100).as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn parts_are_found_by_name_whatever_its_case_and_by_number() {
        let bytes = container();
        let mut archive = Archive::open(&bytes).unwrap();
        assert_eq!(archive.needed("/A/ONE.xml").unwrap().len(), 900);
        assert!(archive.part("a/two.xml").unwrap().is_none());
        assert_eq!(archive.numbered("a/part"), ["a/part2.xml", "a/part10.xml"]);
    }

    #[test]
    fn targets_are_seen_from_their_folder() {
        assert_eq!(
            resolve("ppt/slides", "../notesSlides/n1.xml"),
            "ppt/notesSlides/n1.xml"
        );
        assert_eq!(resolve("ppt", "/ppt/slides/s.xml"), "ppt/slides/s.xml");
    }

    #[test]
    fn what_was_cut_off_is_read_as_far_as_it_is_there() {
        let bytes = container();
        let mut archive = Archive::open(&bytes[..bytes.len() / 2]).unwrap();
        assert!(archive.is_damaged());
        assert!(archive.optional("a/one.xml").starts_with(b"a/one.xml"));
        assert!(Archive::open(b"PK nothing").is_err());
    }
}
