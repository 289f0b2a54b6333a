//! OLE compound files, the containers of doc, ppt, xls and hwp ([MS-CFB]).

use std::io::{Cursor, Read as _};

use cfb::CompoundFile;

use super::properties;
use crate::document::Details;
use crate::parse::ParseError;

/// Most bytes of one stream.
const MOST: u64 = 256 << 20;

/// A compound file whose streams are read by path.
pub struct Ole<'a>(CompoundFile<Cursor<&'a [u8]>>);

impl<'a> Ole<'a> {
    /// # Errors
    /// When it is none, or too damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ParseError> {
        CompoundFile::open(Cursor::new(bytes))
            .map(Self)
            .map_err(|error| {
                ParseError::unreadable_here(
                    format!("its container is damaged or incomplete ({error})"),
                    "download or export it again",
                )
            })
    }

    pub fn has(&self, path: &str) -> bool {
        self.0.is_stream(path)
    }

    /// The names in a storage, in the order of their numbers where they have one.
    pub fn names(&self, storage: &str) -> Vec<String> {
        let Ok(entries) = self.0.read_storage(storage) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries.map(|entry| entry.name().to_owned()).collect();
        let number = |name: &str| -> u32 {
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            digits.parse().unwrap_or(u32::MAX)
        };
        names.sort_by_key(|name| number(name));
        names
    }

    /// A stream, as far as it can be read; empty where there is none.
    pub fn stream(&mut self, path: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(stream) = self.0.open_stream(path) {
            // A file cut short still has the beginning of its streams.
            let _ = stream.take(MOST).read_to_end(&mut bytes);
        }
        bytes
    }
}

/// Details and title of a compound file.
pub fn summary(bytes: &[u8]) -> (Details, Option<String>) {
    match Ole::open(bytes) {
        Ok(mut ole) => properties::property_set(&ole.stream("/\u{5}SummaryInformation")),
        Err(_) => Default::default(),
    }
}
