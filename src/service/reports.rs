//! What is in a document of a collection, and how well its pages were read.

use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use super::documents::Verdicts;
use crate::document::{Details, DocumentId, Parsed};
use crate::error::Error;
use crate::extract::{self, Extract};
use crate::inspect::{Inspection, PageReport, inspect};
use crate::text::cjk_share;

/// What the parser made of each page.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Pages {
    pub document_id: String,
    pub parser: Option<String>,
    pub verdicts: Verdicts,
    pub pages: Vec<PageVerdict>,
}

/// What the parser made of a page.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PageVerdict {
    pub page_number: u32,
    pub verdict: String,
    pub characters: u64,
    /// How sure the OCR engine is of its words, 0 to 1, where it read the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocr_confidence: Option<f32>,
}

/// What is known of a document's text, and what is found in it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TextFacts {
    pub document_id: String,
    pub title: Option<String>,
    pub pages: u64,
    pub characters: u64,
    /// Separated by blanks.
    pub words: u64,
    /// Share of the letters that are Korean, Chinese or Japanese, 0 to 1.
    pub cjk_share: f32,
    #[serde(flatten)]
    pub details: Details,
    #[serde(flatten)]
    pub extract: Extract,
}

impl Service {
    /// What the parser made of each page.
    ///
    /// # Errors
    /// Not found.
    pub fn reports(&self, collection: &str, id: &DocumentId) -> anyhow::Result<Pages> {
        let document = self.document(collection, id)?;
        let verdict = |page: PageReport| PageVerdict {
            page_number: page.number,
            verdict: page.verdict.to_owned(),
            characters: page.characters,
            ocr_confidence: page.ocr_confidence,
        };
        let parsed = self.parsed(collection, id)?;
        let pages = crate::inspect::pages(&parsed, false)
            .into_iter()
            .map(verdict);
        Ok(Pages {
            pages: pages.collect(),
            document_id: document.document_id,
            parser: document.parser,
            verdicts: document.verdicts,
        })
    }

    /// The whole report, as `squall inspect` gives it.
    ///
    /// # Errors
    /// Not found.
    pub fn inspection(&self, collection: &str, id: &DocumentId) -> anyhow::Result<Inspection> {
        let document = self.document(collection, id)?;
        let parser = document.parser.unwrap_or_default();
        let parsed = self.parsed(collection, id)?;
        Ok(inspect(&document.name, id, &parser, &parsed, false))
    }

    /// What is known of a document's text, and what is found in it.
    ///
    /// # Errors
    /// Not found.
    pub fn text_facts(&self, collection: &str, id: &DocumentId) -> anyhow::Result<TextFacts> {
        let document = self.document(collection, id)?;
        let parsed = self.parsed(collection, id)?;
        let text: Vec<&str> = parsed.pages.iter().map(|page| page.text.as_str()).collect();
        let text = text.join("\n");
        Ok(TextFacts {
            document_id: document.document_id,
            title: document.title,
            pages: document.pages,
            characters: text.chars().count() as u64,
            words: text.split_whitespace().count() as u64,
            cjk_share: cjk_share(&text),
            extract: extract::extract(&parsed),
            details: parsed.details,
        })
    }

    /// The pages of a document; none while it is not in yet.
    fn parsed(&self, collection: &str, id: &DocumentId) -> anyhow::Result<Parsed> {
        let document = self.document(collection, id)?;
        let entry = self.store.entry(collection, id)?;
        match (entry, document.state.as_str()) {
            (Some(entry), _) => Ok(entry.parsed),
            (None, "indexed") => Err(Error::Damaged(format!(
                "the pages of {} are damaged; type `squall repair`",
                document.name
            ))
            .into()),
            (None, _) => Ok(Parsed::default()),
        }
    }
}
