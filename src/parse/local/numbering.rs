//! Numbers before list items and headings. Files hold their formats, such as `제%1조`, and programs count.

/// How a level of a list writes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digits {
    #[default]
    Decimal,
    LowerLetter,
    UpperLetter,
    LowerRoman,
    UpperRoman,
    /// ①
    Circled,
    /// 가, 나, 다
    Syllable,
    /// ㄱ, ㄴ, ㄷ
    Jamo,
    /// 일, 이, 삼
    Korean,
}

/// One level of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    Bullet,
    Number {
        digits: Digits,
        /// What stands before an item; `%1` to `%9` are the numbers of the levels.
        text: String,
        start: usize,
    },
}

/// How far a list has counted at each of its levels.
#[derive(Debug, Clone, Default)]
pub struct Counter([Option<usize>; 10]);

impl Counter {
    /// What stands before the next item of `level`, from 0; `None` for nothing, as before what only looks like
    /// an item. Deeper levels begin again.
    pub fn next(&mut self, levels: &[Level], level: usize) -> Option<String> {
        let Level::Number { text, start, .. } = levels.get(level)? else {
            return Some("-".to_owned());
        };
        let own = self.0.get_mut(level)?;
        *own = Some(own.map_or(*start, |count| count.saturating_add(1)));
        self.0[level + 1..].fill(None);
        let mut mark = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let of = match c {
                '%' => rest.peek().and_then(|digit| digit.to_digit(10)),
                _ => None,
            };
            match of.and_then(|of| (of as usize).checked_sub(1)) {
                Some(of) => {
                    rest.next();
                    mark.push_str(&self.number(levels, of));
                }
                None => mark.push(c),
            }
        }
        let mark = mark.trim();
        (!mark.is_empty()).then(|| mark.to_owned())
    }

    /// The next item of `level` has this number.
    pub fn set(&mut self, level: usize, number: usize) {
        if let Some(count) = self.0.get_mut(level) {
            *count = number.checked_sub(1);
        }
    }

    fn number(&self, levels: &[Level], level: usize) -> String {
        let Some(Level::Number { digits, start, .. }) = levels.get(level) else {
            return String::new();
        };
        let count = self.0.get(level).copied().flatten().unwrap_or(*start);
        written(*digits, count)
    }
}

/// `number` in these digits; where they do not reach so far, in decimal ones.
pub fn written(digits: Digits, number: usize) -> String {
    const SYLLABLES: &str = "가나다라마바사아자차카타파하";
    const JAMO: &str = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ";
    let nth = |letters: &str| letters.chars().nth(number.checked_sub(1)?);
    let found = match digits {
        Digits::Decimal => None,
        Digits::LowerLetter => nth("abcdefghijklmnopqrstuvwxyz").map(String::from),
        Digits::UpperLetter => nth("ABCDEFGHIJKLMNOPQRSTUVWXYZ").map(String::from),
        Digits::LowerRoman => roman(number).map(|text| text.to_lowercase()),
        Digits::UpperRoman => roman(number),
        Digits::Circled => nth("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳").map(String::from),
        Digits::Syllable => nth(SYLLABLES).map(String::from),
        Digits::Jamo => nth(JAMO).map(String::from),
        Digits::Korean => korean(number),
    };
    found.unwrap_or_else(|| number.to_string())
}

fn roman(mut number: usize) -> Option<String> {
    const PARTS: [(usize, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&number) {
        return None;
    }
    let mut text = String::new();
    for (value, letters) in PARTS {
        while number >= value {
            text.push_str(letters);
            number -= value;
        }
    }
    Some(text)
}

/// 일 to 구십구.
fn korean(number: usize) -> Option<String> {
    let digit = |digit: usize| "일이삼사오육칠팔구".chars().nth(digit.checked_sub(1)?);
    let (tens, ones) = (number / 10, number % 10);
    if !(1..100).contains(&number) {
        return None;
    }
    let tens = match tens {
        0 => String::new(),
        1 => "십".to_owned(),
        _ => digit(tens).map(|digit| format!("{digit}십"))?,
    };
    Some(tens + &digit(ones).map(String::from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(digits: Digits, text: &str) -> Level {
        Level::Number {
            digits,
            text: text.to_owned(),
            start: 1,
        }
    }

    #[test]
    fn levels_count_and_deeper_ones_begin_again() {
        let levels = [
            level(Digits::Decimal, "제%1조"),
            level(Digits::Syllable, "%2."),
            level(Digits::UpperRoman, "%1-%3)"),
            Level::Bullet,
            level(Digits::Decimal, ""),
        ];
        let mut counter = Counter::default();
        let marks = [0, 1, 1, 2, 0, 1, 3, 4, 7].map(|level| counter.next(&levels, level));
        let marks: Vec<&str> = marks
            .iter()
            .map(|mark| mark.as_deref().unwrap_or(""))
            .collect();
        assert_eq!(
            marks,
            ["제1조", "가.", "나.", "1-I)", "제2조", "가.", "-", "", ""]
        );
        counter.set(0, 9);
        assert_eq!(counter.next(&levels, 0).as_deref(), Some("제9조"));
    }

    #[test]
    fn digits_of_all_kinds() {
        let all = |digits, numbers: &[usize]| -> Vec<String> {
            numbers.iter().map(|n| written(digits, *n)).collect()
        };
        assert_eq!(all(Digits::LowerRoman, &[4, 19, 0]), ["iv", "xix", "0"]);
        assert_eq!(
            all(Digits::Korean, &[1, 10, 21, 100]),
            ["일", "십", "이십일", "100"]
        );
        assert_eq!(all(Digits::Circled, &[20, 21]), ["⑳", "21"]);
        assert_eq!(all(Digits::UpperLetter, &[26, 27]), ["Z", "27"]);
        assert_eq!(all(Digits::Jamo, &[2]), ["ㄴ"]);
    }
}
