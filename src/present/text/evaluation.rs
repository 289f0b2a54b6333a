//! What `eval` measured, in words.

use std::io::{Result, Write};

use crate::eval::{Answers, Evaluation, Ranking};
use crate::text::count;

/// Missing documents listed.
const MOST: usize = 5;

pub fn evaluation(found: &Evaluation, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "{}, {} unanswerable, collection {}, model {}, {:?}",
        count(found.questions, "question"),
        found.unanswerable,
        found.collection,
        found.model,
        found.mode
    )?;
    if let Some(ranking) = &found.ranking {
        self::ranking(ranking, out)?;
    }
    if let Some(answers) = &found.answers {
        self::answers(answers, out)?;
    }
    let ms = &found.latency_ms;
    writeln!(
        out,
        "latency             p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms",
        ms.p50, ms.p90, ms.p99
    )?;
    if !found.missing_documents.is_empty() {
        let named: Vec<&str> = found.missing_documents.iter().map(String::as_str).collect();
        writeln!(
            out,
            "{} named by questions not in the collection: {}{}",
            count(named.len() as u64, "document"),
            named[..named.len().min(MOST)].join(", "),
            if named.len() > MOST { ", ..." } else { "" }
        )?;
    }
    Ok(())
}

fn ranking(found: &Ranking, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "nDCG@10             {:.4}", found.ndcg_at_10)?;
    writeln!(out, "MRR@10              {:.4}", found.mrr_at_10)?;
    writeln!(
        out,
        "recall@1/5/10/20    {:.4} {:.4} {:.4} {:.4}",
        found.recall_at_1, found.recall_at_5, found.recall_at_10, found.recall_at_20
    )?;
    if let Some(pages) = &found.page_hit {
        writeln!(
            out,
            "page-hit@1/3/5/10   {:.4} {:.4} {:.4} {:.4}",
            pages.at_1, pages.at_3, pages.at_5, pages.at_10
        )?;
    }
    Ok(())
}

fn answers(found: &Answers, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "answered            {}", found.answered)?;
    let shares = [
        ("answer in quote", found.answer_in_quote),
        ("verified citations", found.verified_citations),
        ("false answers", found.false_answers),
        ("false refusals", found.false_refusals),
    ];
    for (name, share) in shares {
        if let Some(share) = share {
            writeln!(out, "{name:<19} {share:.4}")?;
        }
    }
    Ok(())
}
