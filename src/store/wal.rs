//! Looks at SQLite's write-ahead log before SQLite does: a frame whose checksum is wrong ends it,
//! and SQLite drops what comes after without a word. Format: <https://sqlite.org/fileformat2.html#walformat>.

use std::path::Path;

use anyhow::Context as _;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit tells the byte order of checksums.
const MAGIC: u32 = 0x377f_0682;

/// What is wrong with the log at `path`, if anything. No log, and one that ends in the middle of a
/// frame (which is what a crash leaves), are fine.
///
/// # Errors
/// When it cannot be read.
pub fn damage(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(log) => Ok(examine(&log)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn examine(log: &[u8]) -> Option<String> {
    if log.len() < HEADER {
        return None;
    }
    let magic = word(log, 0);
    if magic & !1 != MAGIC {
        return Some("its header is damaged".into());
    }
    let big_endian = magic & 1 == 1;
    let mut sums = checksum([0, 0], &log[..24], big_endian);
    if sums != [word(log, 24), word(log, 28)] {
        return Some("its header is damaged".into());
    }
    let page = word(log, 8) as usize;
    if !page.is_power_of_two() || !(512..=65536).contains(&page) {
        return Some("its header is damaged".into());
    }
    let salt = &log[16..24];
    let (mut broken, mut lost) = (None, false);
    for (index, frame) in (1..).zip(log[HEADER..].chunks_exact(FRAME_HEADER + page)) {
        if broken.is_none() {
            sums = checksum(sums, &frame[..8], big_endian);
            sums = checksum(sums, &frame[FRAME_HEADER..], big_endian);
        }
        let stated = [word(frame, 16), word(frame, 20)];
        let is_of_this_log = &frame[8..16] == salt;
        match broken {
            None if is_of_this_log && stated == sums => {}
            // Frames of an earlier log that this one has not yet overwritten.
            None if stated != sums
                && !is_of_this_log
                && !has_salt(&log[HEADER..], index, page, salt) =>
            {
                return None;
            }
            None => broken = Some(index),
            Some(_) => {}
        }
        // What a transaction that never ended left behind has no frame that ends it.
        let is_commit = word(frame, 4) != 0;
        lost |= broken.is_some() && is_commit && (is_of_this_log || broken == Some(index));
    }
    broken
        .filter(|_| lost)
        .map(|frame| format!("frame {frame} is damaged; what was written after it is lost"))
}

/// Whether any frame beyond number `index` (from 1) belongs to this log.
fn has_salt(frames: &[u8], index: usize, page: usize, salt: &[u8]) -> bool {
    let mut later = frames.chunks_exact(FRAME_HEADER + page).skip(index);
    later.any(|frame| &frame[8..16] == salt)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn checksum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let read = |at: usize| match big_endian {
        true => word(bytes, at),
        false => word(bytes, at).swap_bytes(),
    };
    for at in (0..bytes.len()).step_by(8) {
        first = first.wrapping_add(read(at)).wrapping_add(second);
        second = second.wrapping_add(read(at + 4)).wrapping_add(first);
    }
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log of a database with three transactions, as a killed process leaves it.
    fn log() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let db = rusqlite::Connection::open(dir.path().join("x.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);")
            .unwrap();
        std::fs::read(dir.path().join("x.db-wal")).unwrap()
    }

    #[test]
    fn what_a_rolled_back_transaction_left_behind_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let db = rusqlite::Connection::open(dir.path().join("x.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.pragma_update(None, "cache_size", 5).unwrap();
        db.execute_batch(
            "CREATE TABLE t (x);
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
             INSERT INTO t SELECT randomblob(4000) FROM n;
             ROLLBACK;
             INSERT INTO t VALUES (1);",
        )
        .unwrap();
        let log = std::fs::read(dir.path().join("x.db-wal")).unwrap();
        assert!(log.len() > 100 * 4096, "the transaction did not spill");
        assert_eq!(examine(&log), None);
    }

    #[test]
    fn any_flipped_byte_is_noticed_and_a_torn_end_is_not() {
        let log = log();
        assert_eq!(examine(&log), None);
        assert!(log.len() > HEADER + 2 * (FRAME_HEADER + 4096));
        for at in (0..log.len()).step_by(7) {
            let mut bad = log.clone();
            bad[at] ^= 4;
            assert!(examine(&bad).is_some(), "byte {at}");
        }
        for torn in [0, 10, HEADER, log.len() - 1, log.len() - 4000] {
            assert_eq!(examine(&log[..torn]), None, "{torn} bytes");
        }
    }
}
