//! What kind of thing a question asks for, and whether a sentence has one.

use std::sync::LazyLock;

use regex::Regex;

/// What kind of thing would answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A date, a year, a time.
    Time,
    /// A number.
    Number,
    /// A person, a place, a thing with a name.
    Name,
    /// Anything.
    Open,
}

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(when|what (year|date|day|time|month|century|decade)|which (year|month|day|decade|century))\b|언제|며칠|몇\s*(년|월|일|시|세기)|어느\s*(해|날|달)",
    )
});
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(how (many|much|old|long|far|tall|large|big|high|fast|often|deep|wide|heavy)|what (percentage|percent|number|amount|fraction|age|size|rank))\b|몇|얼마",
    )
});
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(who|whom|whose|where|which (city|country|state|company|team|person|man|woman|university|school|river|group)|what (city|country|state|company|team|person|university|school|river|group|organization))\b|누구|누가|누굴|어디",
    )
});
static A_TIME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\d|\b(january|february|march|april|may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday|century|centuries|today|yesterday|morning|noon|midnight|spring|summer|autumn|winter)\b|(오전|오후|새벽|아침|정오|자정|매일|매주|매월|매년|요일|세기)",
    )
});
static A_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|million|billion|half|third|quarter|none|zero|dozen|several|twice|once)\b|(하나|둘|셋|넷|다섯|여섯|일곱|여덟|아홉|열|두|세|네|백|천|만|억|절반|여러)",
    )
});
static A_NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\p{Lu}[\p{L}\p{N}.'’-]*"));

/// The patterns are constants, and every one of them is tried in the tests.
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// What `question` asks for, by its question word.
pub fn wanted(question: &str) -> Wanted {
    let kinds = [
        (&TIME, Wanted::Time),
        (&NUMBER, Wanted::Number),
        (&NAME, Wanted::Name),
    ];
    let found = kinds
        .into_iter()
        .find(|(words, _)| words.is_match(question));
    found.map_or(Wanted::Open, |(_, kind)| kind)
}

impl Wanted {
    /// Whether `sentence` has a thing of this kind that `question` does not name itself: 1, or -1;
    /// 0 where that cannot be told.
    pub fn is_in(self, sentence: &str, question: &str) -> f32 {
        let has = |pattern: &Regex| {
            let asked = question.to_lowercase();
            pattern.find_iter(sentence).any(|found| {
                let text = found.as_str().to_lowercase();
                text.chars().all(|c| c.is_ascii_digit()) || !asked.contains(&text)
            })
        };
        let found = match self {
            Wanted::Open => return 0.0,
            Wanted::Time => has(&A_TIME),
            Wanted::Number => has(&A_NUMBER),
            // Korean has no capitals to tell a name by.
            Wanted::Name if crate::text::cjk_share(sentence) > 0.3 => return 0.0,
            // The first word of a sentence has a capital whatever it is.
            Wanted::Name => {
                let rest = sentence.split_once(' ').map_or("", |(_, rest)| rest);
                A_NAME
                    .find_iter(rest)
                    .any(|found| !question.contains(found.as_str()))
            }
        };
        if found { 1.0 } else { -1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_words_tell_what_is_wanted() {
        for (question, kind) in [
            ("When was it built?", Wanted::Time),
            ("In what year did it end?", Wanted::Time),
            ("회의는 언제 열렸나요?", Wanted::Time),
            ("몇 년에 세워졌나?", Wanted::Time),
            ("How many boats are there?", Wanted::Number),
            ("보증금은 얼마인가요?", Wanted::Number),
            ("Who approved the budget?", Wanted::Name),
            ("분관장은 누구인가요?", Wanted::Name),
            ("Why did it fail?", Wanted::Open),
        ] {
            assert_eq!(wanted(question), kind, "{question}");
        }
    }

    #[test]
    fn a_sentence_has_it_or_not() {
        assert_eq!(
            Wanted::Number.is_in("There are 12 boats.", "how many?"),
            1.0
        );
        assert_eq!(Wanted::Number.is_in("There are boats.", "how many?"), -1.0);
        assert_eq!(Wanted::Time.is_in("It ended in March.", "when?"), 1.0);
        let asked = "Who led the Harbour Board?";
        assert_eq!(Wanted::Name.is_in("It was led by Ines.", asked), 1.0);
        assert_eq!(Wanted::Name.is_in("The Harbour Board met.", asked), -1.0);
        assert_eq!(Wanted::Name.is_in("분관장은 김하늘이다.", "누구?"), 0.0);
        assert_eq!(Wanted::Open.is_in("anything", "why?"), 0.0);
    }
}
