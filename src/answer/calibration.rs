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
    /// Confidence from which there is an answer: about a tenth of the answerable questions fall below.
    pub enough: f32,
}

/// English questions, built-in English model.
static ENGLISH: Calibration = Calibration {
    bias: -7.6,
    covered: 2.8,
    covered_near: 0.81,
    covered_chunk: 0.79,
    adjacent: 2.23,
    cosine: 1.95,
    chunk_cosine: 2.32,
    rank: 1.17,
    wanted: 0.39,
    enough: 0.09,
};

/// Other questions, multilingual model or one from a folder.
static MULTILINGUAL: Calibration = Calibration {
    bias: -7.6,
    covered: 2.8,
    covered_near: 0.81,
    covered_chunk: 0.79,
    adjacent: 2.23,
    cosine: 1.95,
    chunk_cosine: 2.32,
    rank: 1.17,
    wanted: 0.39,
    enough: 0.104,
};

/// Korean questions, multilingual model.
static KOREAN: Calibration = Calibration {
    bias: -9.33,
    covered: 4.77,
    covered_near: 0.9,
    covered_chunk: 1.96,
    adjacent: 0.0,
    cosine: 1.03,
    chunk_cosine: 0.68,
    rank: 2.94,
    wanted: 0.53,
    enough: 0.18,
};

/// Questions in another script than the passages.
static ACROSS: Calibration = Calibration {
    bias: -14.26,
    covered: 0.0,
    covered_near: 0.0,
    covered_chunk: 0.0,
    adjacent: 0.0,
    cosine: 6.71,
    chunk_cosine: 2.99,
    rank: 4.28,
    wanted: 0.44,
    enough: 0.16,
};

/// By words alone.
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
    /// The model read it.
    pub is_semantic: bool,
    /// The model is the built-in English one, whose cosines spread wider than the others'.
    pub is_english_model: bool,
}

impl Kind {
    /// The weights for such a question.
    pub fn calibration(self) -> &'static Calibration {
        match self {
            Kind {
                is_semantic: false,
                is_cjk: true,
                ..
            } => &KOREAN_WORDS,
            Kind {
                is_semantic: false, ..
            } => &ENGLISH_WORDS,
            Kind {
                is_english_model: true,
                ..
            } => &ENGLISH,
            Kind {
                is_across: true, ..
            } => &ACROSS,
            Kind { is_cjk: true, .. } => &KOREAN,
            _ => &MULTILINGUAL,
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
