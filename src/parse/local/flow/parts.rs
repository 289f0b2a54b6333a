//! Documents that say nothing of pages, in parts of about a page.

use super::{Block, Sheet};
use crate::text::is_cjk;

/// Columns (a Hangul letter has two) of a part; a printed page has 2,000 to 4,000.
const PART: usize = 3_600;
/// Columns from which a part ends before a heading.
const EARLY: usize = 1_800;

/// Cuts what the document gives no pages for.
pub fn parts(sheet: Sheet) -> Vec<Sheet> {
    let mut parts = vec![Sheet::default()];
    let mut filled = 0;
    let mut head: Option<Block> = None;
    for block in sheet.blocks {
        let size = columns(block.text());
        let is_heading = matches!(block, Block::Heading(_));
        let ends = filled > 0 && (filled + size > PART || (is_heading && filled > EARLY));
        // The first row of a table stands above its rows on every part.
        match &block {
            Block::Row(_) if head.is_none() => head = Some(block.clone()),
            Block::Row(_) => {}
            _ => head = None,
        }
        if ends {
            filled = 0;
            let mut part = Sheet::default();
            if let Some(head) = head.as_ref().filter(|head| **head != block) {
                filled += columns(head.text());
                part.blocks.push(head.clone());
            }
            // A heading does not stay behind alone.
            if let Some(last) = parts.last_mut()
                && last.blocks.len() > 1
                && let Some(Block::Heading(_)) = last.blocks.last()
                && let Some(heading) = last.blocks.pop()
            {
                part.blocks.insert(0, heading);
            }
            parts.push(part);
        }
        filled += size;
        if let Some(part) = parts.last_mut() {
            part.blocks.push(block);
        }
    }
    if let Some(part) = parts.last_mut() {
        part.notes = sheet.notes;
    }
    parts
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| 1 + usize::from(is_cjk(c))).sum()
}
