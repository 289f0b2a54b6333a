//! An answer in words; what is said beside it is in the language of the question.

use std::io::{Result, Write};

use super::short;
use crate::document::Answer;
use crate::text::{is_cjk_text, is_hangul, one_line};

/// Passages named when there is no answer, and characters shown of each.
const NEAREST: usize = 3;
const SHOWN: usize = 120;

pub fn answer(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let lead = answer
        .citations
        .first()
        .and_then(|first| first.span.as_ref());
    if let Some(span) = lead {
        writeln!(out, "{}", one_line(&span.text))?;
    }
    for (index, citation) in answer.citations.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        if let Some(header) = &citation.header {
            writeln!(out, "{}", one_line(header))?;
        }
        writeln!(out, "{}", one_line(&citation.quote))?;
        let place = short(&citation.document);
        writeln!(out, "    {place}:{}", citation.page_number)?;
    }
    Ok(())
}

/// What to say when there is no answer, and where it might have been.
pub fn note(answer: &Answer) -> Option<String> {
    if answer.answered {
        return None;
    }
    let is_korean = is_cjk_text(&answer.query) && answer.query.chars().any(is_hangul);
    if answer.retrieved_context.is_empty() {
        return Some(match is_korean {
            true => "답이 없습니다: 질문과 조건에 맞는 대목이 없습니다".into(),
            false => "no answer: no passage matches the question and the filters".into(),
        });
    }
    let mut text = String::from(match is_korean {
        true => "이 문서들에는 답이 없습니다. 가장 가까운 대목:",
        false => "no answer in these documents; the nearest passages:",
    });
    for hit in answer.retrieved_context.iter().take(NEAREST) {
        let line = one_line(&hit.text);
        let shown: String = line.chars().take(SHOWN).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        let place = short(&hit.document);
        text.push_str(&format!("\n    {place}:{}  {shown}{more}", hit.page_number));
    }
    Some(text)
}
