//! How likely a sentence answers the question: a logistic model of its features, fitted on open data
//! with and without the document that holds the answer. Questions to 48 articles of English Wikipedia
//! (XQuAD) and to 961 passages of the Korean one (KorQuAD); half of the articles were fitted, the
//! other half measured.

use super::evidence::Features;

/// Weights for one kind of question and model.
#[derive(Debug)]
pub struct Calibration {
    bias: f32,
    covered: f32,
    covered_near: f32,
    covered_chunk: f32,
    adjacent: f32,
    cosine: f32,
    chunk_cosine: f32,
    rank: f32,
    wanted: f32,
    /// Confidence from which there is an answer.
    pub enough: f32,
}

/// English questions, built-in English model.
static ENGLISH: Calibration = Calibration {
    bias: -7.16,
    covered: 2.6,
    covered_near: 0.76,
    covered_chunk: 0.67,
    adjacent: 2.06,
    cosine: 2.63,
    chunk_cosine: 2.56,
    rank: 0.46,
    wanted: 0.39,
    enough: 0.1,
};

/// English questions, multilingual model.
static MULTILINGUAL: Calibration = Calibration {
    bias: -10.31,
    covered: 3.51,
    covered_near: 0.99,
    covered_chunk: 0.97,
    adjacent: 2.07,
    cosine: 0.77,
    chunk_cosine: 4.65,
    rank: 1.04,
    wanted: 0.42,
    enough: 0.09,
};

/// Korean questions, multilingual model.
static KOREAN: Calibration = Calibration {
    bias: -8.9,
    covered: 4.34,
    covered_near: 0.78,
    covered_chunk: 2.24,
    adjacent: 0.0,
    cosine: 0.55,
    chunk_cosine: 0.91,
    rank: 2.66,
    wanted: 0.52,
    enough: 0.17,
};

/// Questions in another script than the passages, by the model alone. Fitted on questions in the
/// same script without looking at words, with a lower bar, as cosines across languages are lower.
static ACROSS: Calibration = Calibration {
    bias: -14.25,
    covered: 0.0,
    covered_near: 0.0,
    covered_chunk: 0.0,
    adjacent: 0.0,
    cosine: 2.58,
    chunk_cosine: 10.07,
    rank: 1.47,
    wanted: 0.42,
    enough: 0.05,
};

/// By words alone: no model read the question, or one that nothing is known of.
static ENGLISH_WORDS: Calibration = Calibration {
    bias: -6.94,
    covered: 3.69,
    covered_near: 1.17,
    covered_chunk: 1.32,
    adjacent: 2.61,
    cosine: 0.0,
    chunk_cosine: 0.0,
    rank: 1.67,
    wanted: 0.46,
    enough: 0.09,
};

/// By words alone, Korean.
static KOREAN_WORDS: Calibration = Calibration {
    bias: -8.2,
    covered: 4.62,
    covered_near: 0.72,
    covered_chunk: 2.57,
    adjacent: 0.0,
    cosine: 0.0,
    chunk_cosine: 0.0,
    rank: 2.88,
    wanted: 0.61,
    enough: 0.16,
};

/// What is known of a question before its evidence is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Korean, Chinese or Japanese.
    pub is_cjk: bool,
    /// Its best passages are in another script: words cannot match.
    pub is_across: bool,
    pub model: Reader,
}

/// The model that read the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Minilm,
    Multilingual,
    /// None did, or one whose cosines mean something else.
    Other,
}

impl Reader {
    /// The model with this fingerprint.
    pub fn of(fingerprint: &str) -> Self {
        match fingerprint.split('/').next() {
            Some("all-minilm-l6-v2") => Reader::Minilm,
            Some("multilingual-e5-small") => Reader::Multilingual,
            _ => Reader::Other,
        }
    }
}

impl Kind {
    /// The weights for such a question.
    pub fn calibration(self) -> &'static Calibration {
        match (self.model, self.is_cjk) {
            (Reader::Multilingual, _) if self.is_across => &ACROSS,
            (Reader::Multilingual, true) => &KOREAN,
            (Reader::Multilingual, false) => &MULTILINGUAL,
            (Reader::Minilm, false) => &ENGLISH,
            (_, true) => &KOREAN_WORDS,
            (Reader::Other, false) => &ENGLISH_WORDS,
        }
    }
}

impl Calibration {
    /// Probability, 0 to 1, that a sentence with these features holds the answer.
    pub fn confidence(&self, f: &Features) -> f32 {
        let sum = self.bias
            + self.covered * f.covered
            + self.covered_near * f.covered_near
            + self.covered_chunk * f.covered_chunk
            + self.adjacent * f.adjacent
            + self.cosine * f.cosine
            + self.chunk_cosine * f.chunk_cosine
            + self.rank * f.rank
            + self.wanted * f.wanted;
        1.0 / (1.0 + (-sum).exp())
    }
}
