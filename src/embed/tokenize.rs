//! Tokenizers: WordPiece or unigram from a plain vocabulary (no JSON to parse), or a
//! `tokenizer.json`.

use std::path::Path;

use ahash::AHashMap;
use anyhow::{Context as _, anyhow};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

use super::unigram::Unigram;

/// A tokenizer without padding or truncation of its own.
pub enum Tokenizer {
    Library(Box<tokenizers::Tokenizer>),
    Unigram(Unigram),
}

impl Tokenizer {
    /// BERT's WordPiece from `vocabulary`, a token a line in the order of ids.
    pub fn wordpiece(vocabulary: &str, lowercase: bool) -> anyhow::Result<Self> {
        let vocab: AHashMap<String, u32> = vocabulary
            .lines()
            .zip(0..)
            .map(|(token, id)| (token.to_owned(), id))
            .collect();
        let special = |token: &str| {
            let id = vocab.get(token).copied();
            id.map(|id| (token.to_owned(), id))
                .ok_or_else(|| anyhow!("the vocabulary has no {token} token"))
        };
        let ends = BertProcessing::new(special("[SEP]")?, special("[CLS]")?);
        let model = WordPiece::builder()
            .vocab(vocab)
            .unk_token("[UNK]".into())
            .build()
            .map_err(|error| anyhow!("the vocabulary is not usable: {error}"))?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner
            .with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase)))
            .map_err(|error| anyhow!("{error}"))?
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(ends));
        Ok(Self::Library(Box::new(inner)))
    }

    /// SentencePiece's unigram model from `vocabulary`, a piece and its score a line.
    pub fn unigram(vocabulary: &'static str) -> anyhow::Result<Self> {
        Ok(Self::Unigram(Unigram::new(vocabulary)?))
    }

    /// A `tokenizer.json`; the truncation and padding baked into it are switched off.
    pub fn from_json(path: &Path) -> anyhow::Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("{} is not a usable tokenizer", path.display()))?;
        inner
            .with_truncation(None)
            .map_err(|error| anyhow!("{error}"))?
            .with_padding(None);
        Ok(Self::Library(Box::new(inner)))
    }

    /// Ids with special tokens; past `max_tokens` the text is cut and its last special token kept.
    pub fn ids(&self, text: &str, max_tokens: usize) -> anyhow::Result<Vec<u32>> {
        let library = match self {
            Self::Library(library) => library,
            Self::Unigram(unigram) => return Ok(unigram.ids(text, max_tokens)),
        };
        let encoding = library
            .encode_fast(text, true)
            .map_err(|error| anyhow!("cannot tokenize: {error}"))?;
        let ids = encoding.get_ids();
        let mut kept = ids[..ids.len().min(max_tokens)].to_vec();
        if ids.len() > max_tokens
            && let (Some(last), Some(end)) = (kept.last_mut(), ids.last())
        {
            *last = *end;
        }
        Ok(kept)
    }

    /// Tokens of `text` without special ones.
    pub fn count(&self, text: &str) -> usize {
        match self {
            Self::Library(library) => library
                .encode_fast(text, false)
                .map_or(text.len(), |encoding| encoding.len()),
            Self::Unigram(unigram) => unigram.count(text),
        }
    }
}
