//! Whether the text of a page can be trusted, from the text and what else is on the page.

use crate::document::Verdict;

/// Glyphs without Unicode on one page above which the page is not to be trusted.
const UNMAPPED_LIMIT: usize = 20;
/// Share of broken characters, as one in so many, above which a page is garbled.
const BROKEN_SHARE: usize = 10;
/// A page that images cover by this share, with fewer characters than [`SPARSE`], is a scan with a
/// stamp or a page number on it.
const COVERED: f64 = 0.5;
/// Characters per square point: about 40 on an A4 page, where print has 1,500 or more.
const SPARSE: f64 = 8e-5;

/// What is on a page beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks {
    /// Glyphs whose font does not say which characters they are.
    pub unmapped: usize,
    /// Whether anything else is drawn: images, lines, shapes.
    pub ink: bool,
    /// Square points images cover, overlaps counted twice.
    pub image_area: f64,
    /// Square points of the page.
    pub area: f64,
}

/// The verdict on a page with `text`.
pub fn judge(text: &str, looks: Looks) -> Verdict {
    let shown = text.chars().filter(|c| !c.is_whitespace()).count();
    if looks.unmapped > UNMAPPED_LIMIT {
        return Verdict::Garbled;
    }
    let is_scan = looks.area > 0.0
        && looks.image_area / looks.area > COVERED
        && (shown as f64 / looks.area) < SPARSE;
    match shown {
        0 if looks.ink || looks.unmapped > 0 => Verdict::Empty,
        0 => Verdict::Blank,
        _ if is_scan => Verdict::Empty,
        _ if is_legible(text) => Verdict::Ok,
        _ => Verdict::Garbled,
    }
}

/// Whether nine in ten of the characters that show are characters: not private-use, not U+FFFD,
/// not control characters (which is what broken ligatures come out as), not `(cid:12)`.
pub fn is_legible(text: &str) -> bool {
    let (mut all, mut broken) = (0, 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        broken += usize::from(
            c.is_control() || matches!(c, '\u{FFFD}' | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..),
        );
    }
    let cids: usize = text
        .match_indices("(cid:")
        .map(|(at, start)| (start.len(), &text[at + start.len()..]))
        .filter_map(|(start, rest)| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (digits > 0 && rest[digits..].starts_with(')')).then_some(start + digits + 1)
        })
        .sum();
    all > 0 && (broken + cids) * BROKEN_SHARE <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a4() -> Looks {
        Looks {
            area: 595.0 * 842.0,
            ..Looks::default()
        }
    }

    #[test]
    fn private_use_control_and_cid_text_is_garbled() {
        assert_eq!(judge("\u{E001}\u{E002}a", a4()), Verdict::Garbled);
        assert_eq!(judge("(cid:12)(cid:7) total", a4()), Verdict::Garbled);
        assert_eq!(judge("e\u{2}cient o\u{3}ce", a4()), Verdict::Garbled);
        assert_eq!(judge("plain (see cid: 4)", a4()), Verdict::Ok);
        let unmapped = Looks {
            unmapped: 21,
            ..a4()
        };
        assert_eq!(judge("a page number", unmapped), Verdict::Garbled);
    }

    #[test]
    fn a_scan_with_a_page_number_is_empty_and_a_white_page_is_blank() {
        let scan = Looks {
            image_area: 400_000.0,
            ink: true,
            ..a4()
        };
        assert_eq!(judge("- 3 -", scan), Verdict::Empty);
        assert_eq!(judge(&"word ".repeat(100), scan), Verdict::Ok);
        assert_eq!(judge("- 3 -", a4()), Verdict::Ok);
        assert_eq!(judge(" ", a4()), Verdict::Blank);
        assert_eq!(judge("", Looks { ink: true, ..a4() }), Verdict::Empty);
    }
}
