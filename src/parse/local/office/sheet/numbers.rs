//! Numbers as the cells of a workbook show them.

/// A number as a format says: percentages, grouped and leading digits, decimals, and what stands before,
/// after and between the digits. The part for positive numbers counts (ECMA-376, 18.8.31). Where a format
/// hides digits or does something else, the number is shown whole.
pub fn formatted(number: f64, format: &str) -> String {
    let marks = marks(format.split(';').next().unwrap_or_default());
    let is_slot = |mark: &Mark| matches!(mark, Mark::Slot(_));
    let places = (
        marks.iter().position(is_slot),
        marks.iter().rposition(is_slot),
    );
    let (Some(first), Some(last)) = places else {
        return float(number);
    };
    let (head, body, tail) = (&marks[..first], &marks[first..=last], &marks[last + 1..]);
    // Commas behind the digits stand for thousands that are not shown.
    if marks.contains(&Mark::Other) || tail.contains(&Mark::Comma) {
        return float(number);
    }
    // A number without a unit is better whole than rounded, but for its leading zeros.
    let is_bare = body.len() == marks.len() && !body.contains(&Mark::Comma);
    if is_bare && !body.starts_with(&[Mark::Slot('0'); 2]) {
        return float(number);
    }
    let said = |marks: &[Mark]| -> String {
        let said = marks.iter().filter_map(|mark| match mark {
            Mark::Said(c) => Some(*c),
            _ => None,
        });
        said.collect()
    };
    let percent = marks.contains(&Mark::Percent);
    let value = if percent { number * 100.0 } else { number };
    let digits = match body.iter().any(|mark| matches!(mark, Mark::Said(_))) {
        // Such as telephone numbers: `000-0000-0000`.
        true if number >= 0.0 && number.fract() == 0.0 && number < 9e15 => {
            filled(number as u64, body)
        }
        true => return float(number),
        false => digits(value.abs(), body),
    };
    let sign = if number < 0.0 { "-" } else { "" };
    let (head, tail) = (said(head), said(tail));
    let percent = if percent { "%" } else { "" };
    format!("{head}{sign}{digits}{percent}{tail}")
}

/// A part of a number format.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// A digit: `0` always, `#` and `?` where the number has it.
    Slot(char),
    Comma,
    Dot,
    Percent,
    /// Written as it stands.
    Said(char),
    /// Fractions, powers, dates, text.
    Other,
}

fn marks(format: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        match c {
            '0' | '#' | '?' => marks.push(Mark::Slot(c)),
            ',' => marks.push(Mark::Comma),
            '.' => marks.push(Mark::Dot),
            '%' => marks.push(Mark::Percent),
            '\\' => marks.extend(rest.next().map(Mark::Said)),
            '"' => marks.extend(rest.by_ref().take_while(|c| *c != '"').map(Mark::Said)),
            // Blanks as wide as the next character, and what fills the cell.
            '_' | '*' => {
                rest.next();
            }
            '[' => {
                // `[$₩-412]` is a currency with its country, `[Red]` a colour, `[>99]` a condition.
                let inner: String = rest.by_ref().take_while(|c| *c != ']').collect();
                let sign = inner
                    .strip_prefix('$')
                    .and_then(|sign| sign.split('-').next());
                marks.extend(sign.unwrap_or_default().chars().map(Mark::Said));
            }
            c if c.is_ascii_alphabetic() || matches!(c, '@' | '/') => marks.push(Mark::Other),
            c => marks.push(Mark::Said(c)),
        }
    }
    marks
}

/// The digits of a positive number by the slots, commas and the dot of a format.
fn digits(number: f64, body: &[Mark]) -> String {
    let dot = body.iter().position(|mark| *mark == Mark::Dot);
    let (whole, fraction) = body.split_at(dot.unwrap_or(body.len()));
    let slots = |marks: &[Mark]| {
        marks
            .iter()
            .filter(|mark| matches!(mark, Mark::Slot(_)))
            .count()
    };
    let zeros = |marks: &[Mark]| {
        marks
            .iter()
            .filter(|mark| **mark == Mark::Slot('0'))
            .count()
    };
    let decimals = slots(fraction);
    let mut plain = format!("{number:.decimals$}");
    let optional = decimals - zeros(fraction);
    for _ in 0..optional {
        if plain.ends_with('0') {
            plain.pop();
        }
    }
    let plain = plain.trim_end_matches('.');
    let (ahead, behind) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let ahead = format!("{ahead:0>width$}", width = zeros(whole));
    if !whole.contains(&Mark::Comma) {
        return ahead + behind;
    }
    let mut shown = String::new();
    for (at, digit) in ahead.chars().enumerate() {
        if at > 0 && (ahead.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + behind
}

/// A whole number put into the slots of a format from the right; what is too long stands before it.
fn filled(number: u64, body: &[Mark]) -> String {
    let mut digits: Vec<char> = number.to_string().chars().collect();
    let mut shown = Vec::new();
    for mark in body.iter().rev() {
        match mark {
            Mark::Slot(kind) => shown.extend(digits.pop().or((*kind == '0').then_some('0'))),
            Mark::Said(c) => shown.push(*c),
            _ => {}
        }
    }
    digits.into_iter().chain(shown.into_iter().rev()).collect()
}

/// A number without the digits that binary fractions leave at its end.
pub fn float(number: f64) -> String {
    // Whole numbers are exact up to 2^53.
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_group_fill_round_and_name_units() {
        let shown = |format| formatted(-1_234_567.5, format);
        assert_eq!(shown("#,##0\"원\""), "-1,234,568원");
        assert_eq!(shown("[$₩-412]#,##0.00;[Red]-0"), "₩-1,234,567.50");
        assert_eq!(formatted(999.0, "#,##0_);(#,##0)"), "999");
        assert_eq!(formatted(12.5, "0.0\"%\""), "12.5%");
        assert_eq!(formatted(0.25, "0%"), "25%");
        assert_eq!(
            formatted(1_012_345_678.0, "000\\-0000\\-0000"),
            "010-1234-5678"
        );
        assert_eq!(formatted(7_123.0, "00000"), "07123");
        assert_eq!(formatted(0.123_456, "0.00"), "0.123456");
        assert_eq!(formatted(12.0, "0\"개\""), "12개");
        assert_eq!(formatted(12.5, "0.00\"kg\""), "12.50kg");
        assert_eq!(formatted(1_234.5, "#,##0.00\\ [$€-407]"), "1,234.50 €");
        assert_eq!(formatted(1_234.5, "#,##0.##"), "1,234.5");
        assert_eq!(formatted(5_000.0, "_-\"₩\"* #,##0_-"), "₩5,000");
        assert_eq!(formatted(0.000_012, "0.00E+00"), "0.000012");
        assert_eq!(
            formatted(1_234_567_890_123_456.0, "General"),
            "1234567890123456"
        );
        assert_eq!(float(2.345_678_901_234_56), "2.34567890123456");
        assert_eq!(formatted(1_234_567.0, "#,##0.0,,\"M\""), "1234567");
        assert_eq!(formatted(1_234.0, "#,##0 \"USD\""), "1,234 USD");
    }
}
