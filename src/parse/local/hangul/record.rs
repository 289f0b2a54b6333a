//! The records of an hwp stream (Hancom's specification of HWP 5.0, 4.1) as a tree.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

/// Most bytes of one section once it is unpacked.
const MOST: u64 = 256 << 20;
/// Levels are ten bits; no document nests tables this deep.
const DEEPEST: usize = 200;

// Tags, 4.2 and 4.3: HWPTAG_BEGIN is 16.
pub const NUMBERING: u16 = 23;
pub const PARA_SHAPE: u16 = 25;
pub const STYLE: u16 = 26;
pub const DISTRIBUTE: u16 = 28;
pub const PARA: u16 = 66;
pub const TEXT: u16 = 67;
pub const LINES: u16 = 69;
pub const CONTROL: u16 = 71;
pub const LIST: u16 = 72;
pub const EQUATION: u16 = 88;

/// A record and those below it.
#[derive(Debug)]
pub struct Record {
    pub tag: u16,
    pub data: Vec<u8>,
    pub children: Vec<Record>,
}

impl Record {
    pub fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..at.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// A string behind its length in UTF-16 units, and where it ends.
    pub fn string_at(&self, at: usize) -> Option<(String, usize)> {
        let end = (at + 2).checked_add(2 * usize::from(self.u16_at(at)?))?;
        let bytes = self.data.get(at + 2..end)?;
        let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(bytes);
        Some((text.into_owned(), end))
    }

    pub fn child(&self, tag: u16) -> Option<&Record> {
        self.children.iter().find(|child| child.tag == tag)
    }
}

/// Inflates a stream, as far as it can be.
pub fn unpacked(stream: &[u8], compressed: bool) -> Vec<u8> {
    if !compressed {
        return stream.to_vec();
    }
    let mut bytes = Vec::new();
    let _ = DeflateDecoder::new(stream)
        .take(MOST)
        .read_to_end(&mut bytes);
    bytes
}

/// The records of a stream. What is cut off at its end is left out.
pub fn tree(stream: &[u8]) -> Vec<Record> {
    let mut roots: Vec<Record> = Vec::new();
    // The last record of each level, from the root down.
    let mut open: Vec<(usize, Record)> = Vec::new();
    let mut at = 0;
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(
            stream.get(at..at.checked_add(4)?)?.try_into().ok()?,
        ))
    };
    while let Some(head) = word(at) {
        at += 4;
        let (tag, level) = ((head & 0x3FF) as u16, (head >> 10 & 0x3FF) as usize);
        let mut size = (head >> 20) as usize;
        if size == 0xFFF {
            let Some(long) = word(at) else { break };
            size = long as usize;
            at += 4;
        }
        let Some(data) = at.checked_add(size).and_then(|end| stream.get(at..end)) else {
            break;
        };
        at += size;
        let record = Record {
            tag,
            data: data.to_vec(),
            children: Vec::new(),
        };
        let level = level.min(DEEPEST);
        close(&mut open, &mut roots, level);
        open.push((level, record));
    }
    close(&mut open, &mut roots, 0);
    roots
}

/// Hands records at `level` and below it to those above them.
fn close(open: &mut Vec<(usize, Record)>, roots: &mut Vec<Record>, level: usize) {
    while open.last().is_some_and(|(above, _)| *above >= level) {
        let Some((_, done)) = open.pop() else { break };
        match open.last_mut() {
            Some((_, parent)) => parent.children.push(done),
            None => roots.push(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(tag: u32, level: u32, size: u32) -> [u8; 4] {
        (tag | level << 10 | size << 20).to_le_bytes()
    }

    #[test]
    fn levels_make_a_tree_and_a_cut_record_is_left_out() {
        let mut stream = Vec::new();
        stream.extend(head(66, 0, 1));
        stream.push(1);
        stream.extend(head(67, 1, 0));
        stream.extend(head(71, 1, 0));
        stream.extend(head(72, 2, 0));
        stream.extend(head(66, 0, 0));
        stream.extend(head(67, 1, 9));
        let roots = tree(&stream);
        assert_eq!(roots.len(), 2);
        let tags: Vec<u16> = roots[0].children.iter().map(|child| child.tag).collect();
        assert_eq!(tags, [67, 71]);
        assert_eq!(roots[0].children[1].children[0].tag, 72);
        assert!(roots[1].children.is_empty());
    }
}
