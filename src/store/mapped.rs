//! What the derived files have in common: a header that ends with its own checksum, an atomic
//! replacement, and a map to read them by.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::ensure;
use memmap2::Mmap;

use super::Collection;

/// Maps the file at `path`, whose first `header` bytes begin with `magic` and end with the BLAKE3 of
/// what is before. Returns that checksum, too, which tells two files apart. `None` if there is no file,
/// or one of an earlier version, which the next refresh replaces.
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
