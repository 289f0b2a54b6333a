//! What the derived files have in common: a header that ends with its own checksum, an atomic
//! replacement, and a map to read them by.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;
use tempfile::NamedTempFile;

use super::Collection;

/// Chunks with an id above `after`, up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub after: i64,
    pub to: i64,
}

/// What every file of a range of chunks states behind its magic: the BLAKE3 of collection and model,
/// generation, range.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// The header's checksum, which tells two files apart.
    pub seal: [u8; 32],
    /// The collection's generation when the file was made.
    pub generation: i64,
    /// Whose chunks are in the file, or were gone when it was made.
    pub reach: Reach,
}

/// Bytes of magic and front.
pub const FRONT: usize = 8 + 32 + 8 + 8 + 8;

/// Maps a file of a range of chunks, as [`open`] does.
///
/// # Errors
/// As [`open`], and when it belongs to another model.
pub fn open_part(
    path: &Path,
    magic: &[u8; 8],
    header: usize,
    collection: &Collection,
) -> anyhow::Result<Option<(Mmap, Front)>> {
    let Some((map, seal)) = open(path, magic, header)? else {
        return Ok(None);
    };
    ensure!(
        map[8..40] == *fingerprint(collection).as_bytes(),
        "it was made with another model"
    );
    let number = |at| i64::from_le_bytes(array(&map, at));
    let front = Front {
        seal,
        generation: number(40),
        reach: Reach {
            after: number(48),
            to: number(56),
        },
    };
    Ok(Some((map, front)))
}

/// The beginning of a header, as [`open_part`] reads it.
pub fn front(magic: &[u8; 8], collection: &Collection, reach: Reach) -> Vec<u8> {
    let mut head = magic.to_vec();
    head.extend(fingerprint(collection).as_bytes());
    for number in [collection.generation, reach.after, reach.to] {
        head.extend(number.to_le_bytes());
    }
    head
}

/// A new file in the folder of `path`, to be put there by [`finish`].
///
/// # Errors
/// When it cannot be made.
pub fn begin(path: &Path) -> anyhow::Result<NamedTempFile> {
    let folder = path.parent().context("the file has no folder")?;
    std::fs::create_dir_all(folder)?;
    // For all who may read the database.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new();
    Ok(file.permissions(permissions).tempfile_in(folder)?)
}

/// Writes `head` and its checksum at the start of `file`, and puts the file at `path`, durably.
///
/// # Errors
/// When it cannot be written.
pub fn finish(file: NamedTempFile, head: &[u8], path: &Path) -> anyhow::Result<()> {
    seal_with(file.as_file(), head)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(path.parent().context("the file has no folder")?)
}

/// Writes `head` and its checksum at the start of `file`.
pub fn seal_with(file: &File, head: &[u8]) -> std::io::Result<()> {
    let sum = blake3::hash(head);
    let head = [head, sum.as_bytes()].concat();
    std::os::unix::fs::FileExt::write_all_at(file, &head, 0)
}

/// A file being written, and the checksum of what was.
pub struct Summed<W> {
    pub out: W,
    pub sum: blake3::Hasher,
}

impl<W: std::io::Write> Summed<W> {
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Maps the file at `path`, whose first `header` bytes begin with `magic` and end with the BLAKE3 of
/// what is before. Returns that checksum, too, which tells two files apart. `None` if there is no file,
/// or one of an earlier version.
///
/// # Errors
/// When it is no such file, or its header is damaged.
pub fn open(
    path: &Path,
    magic: &[u8; 8],
    header: usize,
) -> anyhow::Result<Option<(Mmap, [u8; 32])>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // SAFETY: the file is never changed in place, only replaced by rename, so the mapped bytes stay
    // what they are.
    let map = unsafe { Mmap::map(&file)? };
    if map.len() >= 8 && map[..7] == magic[..7] && map[7] < magic[7] {
        return Ok(None);
    }
    ensure!(
        map.len() >= header && map[..8] == *magic,
        "it is no such file of this version"
    );
    let (head, sum) = map[..header].split_at(header - 32);
    let hash = blake3::hash(head);
    ensure!(*hash.as_bytes() == *sum, "its header is damaged");
    Ok(Some((map, *hash.as_bytes())))
}

/// The checksum at the end of the header of the file at `path`; `None` if it is no such file.
pub fn seal(path: &Path, magic: &[u8; 8], header: usize) -> Option<[u8; 32]> {
    let mut head = vec![0; header];
    File::open(path).ok()?.read_exact(&mut head).ok()?;
    let is_whole = head[..8] == *magic
        && *blake3::hash(&head[..header - 32]).as_bytes() == head[header - 32..];
    is_whole.then(|| array(&head, header - 32))
}

/// Makes a rename in `folder` durable.
pub fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// What ties a derived file to a collection and its model.
pub fn fingerprint(collection: &Collection) -> blake3::Hash {
    blake3::hash(format!("{}\n{}", collection.uid, collection.model.fingerprint).as_bytes())
}

/// The bytes of a number at `at`.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// How many of `count` places, in order, are `before`: where the first one is that is not.
pub fn first_not(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}
