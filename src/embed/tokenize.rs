//! Tokenizers: our own for the built-in models, the crate `tokenizers` for models from a folder.

use std::path::Path;

use ahash::AHashMap;
use anyhow::{Context as _, anyhow};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

use super::unigram::Unigram;
use super::wordpiece::WordPiece as OwnWordPiece;

/// A tokenizer without padding or truncation of its own.
pub enum Tokenizer {
    Library(Box<tokenizers::Tokenizer>),
    Unigram(Unigram),
    WordPiece(OwnWordPiece),
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

    /// BERT's uncased WordPiece, the same from a vocabulary inside the binary.
    pub fn uncased(vocabulary: &'static str) -> anyhow::Result<Self> {
        Ok(Self::WordPiece(OwnWordPiece::new(vocabulary)?))
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
            Self::WordPiece(pieces) => return Ok(pieces.ids(text, max_tokens)),
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
            Self::WordPiece(pieces) => pieces.count(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VOCABULARY: &str = include_str!("../../models/all-minilm-l6-v2.vocab.txt");

    fn both() -> (Tokenizer, Tokenizer) {
        let own = Tokenizer::uncased(VOCABULARY).unwrap();
        (own, Tokenizer::wordpiece(VOCABULARY, true).unwrap())
    }

    /// Words as they stand in documents, and characters that are treated in a way of their own.
    fn varied() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-zA-Z]{1,14}",
            1 => "[a-zA-Z]{95,105}",
            2 => "[ \t\n\r.,;:!?'\"()-]{1,3}",
            1 => "[0-9]{1,6}",
            2 => "[가-힣]{1,5}",
            1 => "[一-龥ぁ-んァ-ン豈-龎]{1,4}",
            1 => "[à-ÿÀ-ÞăąćçđęğİıłńőøřśșžΑ-ωЀ-я]{1,8}",
            1 => "[\u{300}-\u{36f}\u{1100}-\u{11ff}\u{200b}-\u{200f}\u{2028}\u{2029}\u{85}\u{a0}\u{ad}\u{feff}]{1,3}",
            1 => "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{fffd}\u{b}\u{c}]{1,2}",
            1 => "[😀-🙏🇰🇷👩‍🔬–—…“”‘’•·«»]{1,3}",
            1 => any::<char>().prop_map(String::from),
            1 => Just("[SEP] ##ing [UNK]".to_owned()),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn ids_are_those_of_the_reference(text in varied()) {
            let (own, reference) = &*BOTH;
            prop_assert_eq!(own.ids(&text, 256).unwrap(), reference.ids(&text, 256).unwrap());
            prop_assert_eq!(own.ids(&text, 8).unwrap(), reference.ids(&text, 8).unwrap());
            prop_assert_eq!(own.count(&text), reference.count(&text));
        }
    }

    static BOTH: std::sync::LazyLock<(Tokenizer, Tokenizer)> = std::sync::LazyLock::new(both);
}
