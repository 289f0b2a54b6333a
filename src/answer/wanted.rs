//! What kind of thing a question asks for, and whether a sentence has one.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::is_cjk_text;

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
        r"(?i)\b(when|what (year|date|day|time|month|century|decade)|which (year|month|day|decade|century))\b|언제|며칠|몇\s*(년|월|일|시|세기)|어느\s*(해|날|달)|(해|연도|년도|날짜|시기|일시|기한|기간|시각)(는|은|가|이)?\s*\?",
    )
});
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(how (many|much|old|long|far|tall|large|big|high|fast|often|deep|wide|heavy)|what (percentage|percent|number|amount|fraction|age|size|rank))\b|몇|얼마|(횟수|인원|금액|가격|비용|비율|나이|높이|길이|면적|넓이|무게|수|수량|점수|순위)(는|은|가|이)?\s*\?",
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

/// Dates, years and times of day, as long as they go. Months have capitals: "may" is a verb.
static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\d{4}-\d{2}-\d{2}|\d{4}\.\s?\d{1,2}\.\s?\d{1,2}|\d{4}년(\s*\d{1,2}월)?(\s*\d{1,2}일)?|\d{1,2}월(\s*\d{1,2}일)?|((오전|오후)\s*)?\d{1,2}시(\s*\d{1,2}분)?|\b(\d{1,2}\s+)?(January|February|April|June|July|August|September|October|November|December)\b(\s+\d{1,2}\b)?(,?\s+\d{4}\b)?|\b\d{1,2}\s+(March|May)\b(,?\s+\d{4}\b)?|\b(March|May)\s+\d{1,2}\b(,?\s+\d{4}\b)?|\b(March|May),?\s+\d{4}\b|\b\d{1,2}:\d{2}\b|\b1\d{3}\b|\b20\d{2}\b",
    )
});
/// Numbers with what they count.
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"([$€£₩]\s?)?\d+([.,]\d+)*(\s?%|\s?(percent|million|billion|thousand|km|m|kg|kB|MB|GB)\b|\s?(만|억|백만|천만)?\s?(원|명|개|건|점|층|세|회)|\s?(만|억))?",
    )
});
/// Words with capitals, side by side.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\p{Lu}[\p{L}\p{N}'’-]+(\s+(of|the|de|van|von|and)?\s*\p{Lu}[\p{L}\p{N}'’-]*)*")
});

/// The patterns are constants, and every one of them is tried in the tests.
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// What `question` asks for, by its question word.
pub fn wanted(question: &str) -> Wanted {
    if question.contains("몇 시간") {
        return Wanted::Number;
    }
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
            Wanted::Name if is_cjk_text(sentence) => return 0.0,
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

/// Words with capitals that are no names.
const CALENDAR: [&str; 19] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

impl Wanted {
    /// The one thing of this kind in `sentence` that `question` does not name itself; `None` where
    /// there is none, or more than one.
    pub fn span(self, sentence: &str, question: &str) -> Option<std::ops::Range<usize>> {
        let pattern = match self {
            Wanted::Open => return None,
            Wanted::Time => &TIMES,
            Wanted::Number => &NUMBERS,
            // Korean names have no capitals, so what has is not the name.
            Wanted::Name if is_cjk_text(sentence) => return None,
            Wanted::Name => &NAMES,
        };
        let asked: Vec<String> = words(question);
        // `2시` is no time of day in `2시간`.
        let goes_on =
            |end: usize| sentence[..end].ends_with('시') && sentence[end..].starts_with('간');
        let first_word = sentence.find(char::is_alphanumeric).unwrap_or(0);
        let mut found = pattern.find_iter(sentence).filter(|found| {
            let named = words(found.as_str())
                .iter()
                .all(|word| asked.contains(word));
            // Whatever begins a sentence has a capital.
            let begins = found.start() <= first_word && !found.as_str().contains(' ');
            let is_no_name = begins || CALENDAR.contains(&found.as_str());
            !(named || goes_on(found.end()) || self == Wanted::Name && is_no_name)
        });
        let first = found.next()?;
        let text = first.as_str();
        let start = first.start() + (text.len() - text.trim_start().len());
        let end = first.end() - (text.len() - text.trim_end().len());
        (found.next().is_none() && start < end).then_some(start..end)
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
            ("처음 발매된 해는?", Wanted::Time),
            ("공연 횟수는?", Wanted::Number),
            ("Who approved the budget?", Wanted::Name),
            ("분관장은 누구인가요?", Wanted::Name),
            ("Why did it fail?", Wanted::Open),
        ] {
            assert_eq!(wanted(question), kind, "{question}");
        }
    }

    #[test]
    fn what_stands_out_is_found_and_two_of_a_kind_do_not() {
        for (question, sentence, span) in [
            (
                "How many points?",
                "They gave up just 308 points.",
                Some("308"),
            ),
            ("얼마인가요?", "보증금은 500만 원이다.", Some("500만 원")),
            (
                "언제인가요?",
                "기한은 2026년 3월 14일까지다.",
                Some("2026년 3월 14일"),
            ),
            (
                "When did it open?",
                "It opened on 3 May 1921 in the rain.",
                Some("3 May 1921"),
            ),
            (
                "Who approved it?",
                "It was approved by Ines Halvorsen.",
                Some("Ines Halvorsen"),
            ),
            ("How many?", "Between 3 and 5.", None),
            (
                "주차는 몇 시간 무료인가요?",
                "두 곳 모두 2시간 무료이다.",
                Some("2"),
            ),
            (
                "언제 착수하나요?",
                "착수일은 2025-03-02이다.",
                Some("2025-03-02"),
            ),
            (
                "언제까지인가요?",
                "기한은 2026. 4. 30.까지이다.",
                Some("2026. 4. 30"),
            ),
            (
                "How many members?",
                "The council had 20 members.",
                Some("20"),
            ),
            ("How long?", "It takes 45 minutes.", Some("45")),
            ("When is it cancelled?", "The ferry may be cancelled.", None),
            (
                "When is the May fair?",
                "The fair is on 12 May 2026.",
                Some("12 May 2026"),
            ),
            (
                "How many members did the 2020 council have?",
                "It had 20 members and 3 deputies.",
                None,
            ),
            (
                "Who approved the budget?",
                "The budget was approved by Treasurer Ines Halvorsen on 14 March 2025.",
                Some("Treasurer Ines Halvorsen"),
            ),
            ("Who approved it?", "- Approved by the treasurer", None),
            (
                "관리자는 누구인가요?",
                "시스템 관리자는 IT 팀의 김하늘이다.",
                None,
            ),
            ("Why?", "Because of 3.", None),
            ("Who is Ines?", "Ines stands here.", None),
        ] {
            let found = wanted(question).span(sentence, question);
            assert_eq!(found.map(|range| &sentence[range]), span, "{sentence}");
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
