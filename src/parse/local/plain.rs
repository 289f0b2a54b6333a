//! Plain text and Markdown in any common encoding. Form feeds separate pages.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::verdict::{Looks, judge};
use crate::document::{Page, Parsed};
use crate::parse::ParseError;

/// Decodes `bytes` and splits them at form feeds.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let text = decode(bytes).ok_or_else(binary)?;
    let pages = (1..)
        .zip(text.split('\u{C}'))
        .map(|(number, text)| Page {
            number,
            text: text.to_owned(),
            verdict: judge(text, Looks::default()),
        })
        .collect();
    Ok(Parsed {
        pages,
        ..Parsed::default()
    })
}

/// The error for what is no text.
pub fn binary() -> ParseError {
    ParseError::unreadable_here(
        "it holds binary data, not text",
        "check that the file name's ending is right",
    )
}

/// The beginning of a text, as far as can be told from its first bytes; empty for binary data.
pub fn beginning(head: &[u8]) -> String {
    // A letter of several bytes may be cut at the end.
    let cut = head
        .iter()
        .rposition(|byte| byte.is_ascii())
        .map_or(head.len(), |at| at + 1);
    decode(&head[..cut & !1])
        .or_else(|| decode(&head[..cut]))
        .unwrap_or_default()
}

/// The text, or `None` for binary data. UTF-8 with a few bad bytes stays UTF-8 with U+FFFD.
pub fn decode(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Some(encoding.decode(bytes).0.into_owned());
    }
    if bytes.contains(&0) {
        return wide(bytes);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if mostly_utf8(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(bytes, true);
            let encoding = detector.guess(None, Utf8Detection::Deny);
            encoding.decode_without_bom_handling(bytes).0.into_owned()
        }
    };
    let controls = text
        .chars()
        .filter(|c| c.is_control() && !c.is_whitespace())
        .count();
    (controls * 20 <= text.chars().count()).then_some(text)
}

/// UTF-16 without a mark: blanks, line ends and digits have a zero on one side only.
fn wide(bytes: &[u8]) -> Option<String> {
    let zeros = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let encoding = match (zeros(0), zeros(1)) {
        (0, low) if low * 20 >= bytes.len() / 2 => UTF_16LE,
        (high, 0) if high * 20 >= bytes.len() / 2 => UTF_16BE,
        _ => return None,
    };
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    let is_text = !broken && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    is_text.then(|| text.into_owned())
}

/// Whether bad bytes are rare against good multi-byte or plain text, which no legacy encoding
/// would produce by chance.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let text = UTF_8.decode_without_bom_handling(bytes).0;
    let broken = text.chars().filter(|&c| c == '\u{FFFD}').count();
    let foreign = text.chars().filter(|&c| !c.is_ascii()).count() - broken;
    broken <= foreign / 8 || (foreign == 0 && broken * 100 <= text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        parse(bytes).unwrap().pages.remove(0).text
    }

    #[test]
    fn korean_legacy_text_is_recognised() {
        let korean = "도서관 운영위원회는 예산을 승인하였습니다. 다음 회의는 금요일입니다.";
        let (bytes, _, _) = encoding_rs::EUC_KR.encode(korean);
        assert_eq!(text(&bytes), korean);
    }

    #[test]
    fn utf16_with_a_mark_is_decoded() {
        let bytes: Vec<u8> = "\u{FEFF}회의"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(text(&bytes), "회의");
    }

    #[test]
    fn utf16_without_a_mark_is_decoded() {
        for encode in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes: Vec<u8> = "회의 안내 2025\n".encode_utf16().flat_map(encode).collect();
            assert_eq!(text(&bytes), "회의 안내 2025\n");
        }
    }

    #[test]
    fn a_few_bad_bytes_do_not_spoil_utf8() {
        let mut bytes = "예산은 승인되었다. ".repeat(5).into_bytes();
        bytes.extend(b"\xFF end");
        assert!(text(&bytes).ends_with("\u{FFFD} end"));
    }

    #[test]
    fn binary_data_is_refused() {
        assert!(parse(b"\x7FELF\0\0\0\x01\x02").is_err());
    }

    #[test]
    fn form_feeds_separate_pages() {
        let pages = parse(b"one\x0Ctwo\x0C").unwrap().pages;
        assert_eq!(pages.len(), 3);
        assert_eq!(
            (pages[1].number, pages[2].verdict),
            (2, crate::document::Verdict::Blank)
        );
    }
}
