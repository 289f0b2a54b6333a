//! Glyphs with positions to words, lines, paragraphs and tables.

mod form;
mod order;
mod table;

use std::collections::BTreeMap;

use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Point, Vec2};

use self::form::fill_in;
use self::order::reading_order;
use self::table::{Rule, tables};
use super::flow::table_row;
use crate::text::is_cjk;

/// Gap between glyphs, in ems, from which there is a space.
const WORD_GAP: f64 = 0.13;
/// Gap, in ems, that cells and columns have and words do not.
const FRAGMENT_GAP: f64 = 0.9;
/// Step between baselines, in ems, up to which lines belong to one paragraph.
const LINE_STEP: f64 = 1.9;
/// Lines looked at on either side to find a column's right edge.
const BLOCK: usize = 12;
/// Shift of a baseline, in ems, that is still the same line (super- and subscripts).
const BASELINE_SHIFT: f64 = 0.45;

/// The text of one glyph and where it stands, in the frame of its own writing direction.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Without an allocation where it is a single character, as nearly always.
    text: BfString,
    /// Start and end along the line, in points.
    start: f64,
    end: f64,
    /// Baseline, growing down the page.
    baseline: f64,
    /// Font size in points.
    em: f64,
    /// Writing direction in degrees, rounded.
    angle: i32,
}

impl Piece {
    /// A glyph at `origin`. `axes` are the images of glyph space's unit vectors (1,000 to the em),
    /// `advance` is the glyph's width in glyph space, if the font says.
    pub fn new(text: BfString, origin: Point, axes: (Vec2, Vec2), advance: Option<f64>) -> Self {
        let (along, up) = axes;
        let scale = along.hypot();
        let direction = if scale > 0.0 {
            along / scale
        } else {
            Vec2::new(1.0, 0.0)
        };
        // A quarter turn clockwise from the writing direction is down, PDF's y grows up.
        let down = Vec2::new(direction.y, -direction.x);
        let at = origin.to_vec2();
        let start = at.dot(direction);
        let em = up.hypot() * 1000.0;
        let width = advance.map_or(em * 0.5, |advance| advance * scale);
        Self {
            text,
            start,
            end: start + width,
            baseline: at.dot(down),
            em: em.max(0.01),
            angle: direction.y.atan2(direction.x).to_degrees().round() as i32,
        }
    }

    /// Whether `other` is the same glyph drawn again, as fake bold and outlined text are.
    pub fn covers(&self, other: &Piece) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 0.1 * self.em;
        self.text == other.text
            && near(self.start, other.start)
            && near(self.baseline, other.baseline)
    }
}

/// A run of pieces on one baseline, without wide gaps.
#[derive(Debug, Clone)]
pub struct Fragment {
    text: String,
    start: f64,
    end: f64,
    baseline: f64,
    em: f64,
    angle: i32,
    /// Width of the first word, to tell whether it would have fitted on the line before.
    first_word: f64,
}

impl Fragment {
    /// Whether both stand on one line.
    fn is_beside(&self, other: &Fragment) -> bool {
        let shift = (self.baseline - other.baseline).abs();
        self.angle == other.angle && shift < BASELINE_SHIFT * self.em.max(other.em)
    }
}

/// A part of a page.
enum Block {
    Text(Fragment),
    /// The cells of a row of a table.
    Row(Vec<String>),
}

/// A line drawn on the page, in points of the page.
pub type Segment = (Point, Point);

/// The text of a page: a line of output for each paragraph, list item, heading or table row; a
/// blank line where the page leaves space. Tables are found by the lines drawn around them, too.
/// `fields`: the fields of a form, by two corners, and what is written into them. Says of each whether that
/// stands beside a label.
pub fn compose(
    pieces: Vec<Piece>,
    segments: &[Segment],
    fields: &[(Segment, &str)],
) -> (String, Vec<bool>) {
    let mut fragments = fragments(pieces);
    let angle = usual_angle(&fragments);
    let mut labelled = Vec::new();
    if !fields.is_empty() {
        let fields: Vec<(Rule, &str)> = fields
            .iter()
            .map(|(area, value)| (rule(*area, angle), *value))
            .collect();
        (fragments, labelled) = fill_in(fragments, &fields, angle);
    }
    let rules: Vec<Rule> = segments
        .iter()
        .map(|segment| rule(*segment, angle))
        .collect();
    let blocks = tables(reading_order(fragments), &rules);
    let mut text = String::new();
    let mut open: Vec<Fragment> = Vec::new();
    let mut in_table = false;
    for block in blocks {
        match block {
            Block::Text(fragment) => {
                in_table = false;
                open.push(fragment);
            }
            Block::Row(cells) => {
                let Some(row) = table_row(&cells) else {
                    continue;
                };
                paragraphs(std::mem::take(&mut open), &mut text);
                if !text.is_empty() {
                    text.push_str(if in_table { "\n" } else { "\n\n" });
                }
                text.push_str(&row);
                in_table = true;
            }
        }
    }
    paragraphs(open, &mut text);
    (text, labelled)
}

/// The angle most text is written at.
fn usual_angle(fragments: &[Fragment]) -> i32 {
    let mut letters: BTreeMap<i32, usize> = BTreeMap::new();
    for fragment in fragments {
        *letters.entry(fragment.angle).or_default() += fragment.text.len();
    }
    let most = letters.into_iter().max_by_key(|(_, letters)| *letters);
    most.map_or(0, |(angle, _)| angle)
}

/// A drawn line as text written at `angle` sees it.
fn rule((a, b): Segment, angle: i32) -> Rule {
    let (sin, cos) = f64::from(angle).to_radians().sin_cos();
    let (direction, down) = (Vec2::new(cos, sin), Vec2::new(sin, -cos));
    let span = |axis: Vec2| {
        let (a, b) = (a.to_vec2().dot(axis), b.to_vec2().dot(axis));
        (a.min(b), a.max(b))
    };
    Rule {
        along: span(direction),
        down: span(down),
    }
}

/// Appends running text, a paragraph apart from what is there.
fn paragraphs(fragments: Vec<Fragment>, text: &mut String) {
    let lines = lines(fragments);
    // Where the program that made the page writes the space at a wrapped line's end, a line
    // without one was broken inside a word, as Korean is.
    let spaced = lines.iter().filter(|line| line.text.ends_with(' ')).count() >= 2;
    for (at, line) in lines.iter().enumerate() {
        let Some(before) = at.checked_sub(1).map(|before| &lines[before]) else {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&line.text);
            continue;
        };
        let edge = right_edge(&lines, at - 1);
        match relation(before, line, edge) {
            Relation::Wrapped => {
                text.push_str(glue(text, &line.text, spaced));
            }
            Relation::NextLine => text.push('\n'),
            Relation::Apart => text.push_str("\n\n"),
        }
        text.push_str(&line.text);
    }
}

/// What stands in a cell, on one line.
fn joined(cell: &[Fragment]) -> String {
    let mut text = String::new();
    paragraphs(cell.to_vec(), &mut text);
    text.split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Puts fragments that follow each other on one line together.
fn lines(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let mut lines: Vec<Fragment> = Vec::new();
    for fragment in fragments {
        match lines.last_mut() {
            Some(line) if line.is_beside(&fragment) => {
                let gap = fragment.start - line.end;
                let em = line.em.max(fragment.em);
                let spaced = line.text.ends_with(char::is_whitespace)
                    || fragment.text.starts_with(char::is_whitespace);
                if (gap > WORD_GAP * em || gap < -em) && !spaced {
                    line.text.push(' ');
                }
                line.text.push_str(&fragment.text);
                line.end = line.end.max(fragment.end);
                line.em = em;
            }
            _ => lines.push(fragment),
        }
    }
    lines
}

fn fragments(pieces: Vec<Piece>) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = Vec::new();
    let mut last: Option<Piece> = None;
    for piece in pieces {
        let mut buffer = [0; 4];
        let letters = match &piece.text {
            BfString::Char(c) => c.encode_utf8(&mut buffer),
            BfString::String(text) => text.as_str(),
        };
        let blank = letters.trim().is_empty();
        match (fragments.last_mut(), &last) {
            (Some(line), Some(last)) if goes_on(last, &piece) => {
                let gap = piece.start - last.end;
                let apart = gap > WORD_GAP * last.em.max(piece.em);
                if apart && !blank && !line.text.ends_with(char::is_whitespace) {
                    line.text.push(' ');
                }
                if !line.text.contains(' ') {
                    line.first_word = piece.end - line.start;
                }
                line.text.push_str(letters);
                if !blank {
                    line.end = line.end.max(piece.end);
                    line.em = line.em.max(piece.em);
                }
            }
            _ if blank => continue,
            _ => fragments.push(Fragment {
                text: letters.to_owned(),
                start: piece.start,
                end: piece.end,
                baseline: piece.baseline,
                em: piece.em,
                angle: piece.angle,
                first_word: piece.end - piece.start,
            }),
        }
        last = Some(piece);
    }
    fragments
}

/// Whether a glyph is drawn where the last one leads to.
fn goes_on(last: &Piece, piece: &Piece) -> bool {
    let shift = (piece.baseline - last.baseline).abs();
    let em = last.em.max(piece.em);
    let gap = piece.start - last.end;
    last.angle == piece.angle && shift < BASELINE_SHIFT * em && gap < FRAGMENT_GAP * em && gap > -em
}

enum Relation {
    /// The paragraph goes on.
    Wrapped,
    NextLine,
    Apart,
}

fn relation(before: &Fragment, line: &Fragment, right_edge: f64) -> Relation {
    let step = line.baseline - before.baseline;
    let em = before.em.max(line.em);
    if before.angle != line.angle || step <= 0.0 || step > LINE_STEP * em {
        return Relation::Apart;
    }
    let same_size = (before.em - line.em).abs() < 0.1 * em;
    // The next word would have fitted: the line was ended on purpose.
    let full = right_edge - before.end < line.first_word + 0.3 * em;
    let aligned =
        (line.start - before.start).abs() < 2.5 * em && line.start - before.start < 0.8 * em;
    if same_size && full && aligned && !starts_item(&line.text) {
        Relation::Wrapped
    } else {
        Relation::NextLine
    }
}

/// The right edge of the column around line `at`: the farthest end in its block of lines, which
/// neither a heading, a page header nor another column belongs to.
fn right_edge(lines: &[Fragment], at: usize) -> f64 {
    let above = lines[..=at]
        .windows(2)
        .rev()
        .take_while(|w| adjacent(&w[0], &w[1]))
        .map(|w| &w[0]);
    let below = lines[at..]
        .windows(2)
        .take_while(|w| adjacent(&w[0], &w[1]))
        .map(|w| &w[1]);
    above
        .take(BLOCK)
        .chain(below.take(BLOCK))
        .map(|line| line.end)
        .fold(lines[at].end, f64::max)
}

/// Whether two lines are of one size and follow each other closely.
fn adjacent(before: &Fragment, line: &Fragment) -> bool {
    let step = line.baseline - before.baseline;
    let em = before.em.max(line.em);
    before.angle == line.angle
        && step > 0.0
        && step <= LINE_STEP * em
        && (before.em - line.em).abs() < 0.1 * em
        && (before.start - line.start).abs() < 4.0 * em
}

fn starts_item(text: &str) -> bool {
    let head = text.trim_start();
    let numbered = head.split_once(['.', ')']).is_some_and(|(number, rest)| {
        (1..=3).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
            && rest.starts_with(' ')
    });
    numbered || head.starts_with(['•', '‣', '◦', '▪', '●', '○', '■', '□', '※', '–'])
}

/// What stands between a wrapped line and the next.
fn glue(before: &str, next: &str, spaced: bool) -> &'static str {
    let (last, first) = (before.chars().next_back(), next.chars().next());
    match (last, first) {
        (Some(' '), _) => "",
        // Left for the clean-up, which knows which hyphens to drop.
        (Some('-' | '\u{AD}' | '\u{2010}'), _) => "\n",
        (Some(last), Some(first)) if spaced && is_cjk(last) && is_cjk(first) => "",
        _ => " ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets each line of `rows` at (x, y) with 10-point glyphs 5 points wide.
    fn set(rows: &[(f64, f64, &str)]) -> String {
        let axes = (Vec2::new(0.01, 0.0), Vec2::new(0.0, 0.01));
        let mut pieces = Vec::new();
        for &(x, y, text) in rows {
            for (i, c) in text.chars().enumerate() {
                let origin = Point::new(x + 5.0 * i as f64, y);
                pieces.push(Piece::new(BfString::Char(c), origin, axes, Some(500.0)));
            }
        }
        compose(pieces, &[], &[]).0
    }

    #[test]
    fn wrapped_lines_are_joined_and_short_ones_are_not() {
        let text = set(&[
            (0.0, 100.0, "The committee met on a cold"),
            (0.0, 88.0, "day in the old harbour hall"),
            (0.0, 76.0, "and left."),
            (0.0, 64.0, "Fees"),
        ]);
        assert_eq!(
            text,
            "The committee met on a cold day in the old harbour hall and left.\nFees"
        );
    }

    #[test]
    fn a_gap_is_a_space_and_space_down_the_page_is_a_paragraph() {
        assert_eq!(
            set(&[(0.0, 100.0, "a"), (30.0, 100.0, "b"), (0.0, 60.0, "c")]),
            "a b\n\nc"
        );
    }

    #[test]
    fn korean_broken_inside_a_word_is_joined_when_the_page_writes_its_spaces() {
        let text = set(&[
            (0.0, 100.0, "도서관 운영 위원회는 "),
            (0.0, 88.0, "예산안을 심의하여 승"),
            (0.0, 76.0, "인하였고 다음 회의는 "),
            (0.0, 64.0, "금요일이다."),
        ]);
        assert_eq!(
            text,
            "도서관 운영 위원회는 예산안을 심의하여 승인하였고 다음 회의는 금요일이다."
        );
    }

    #[test]
    fn a_bullet_starts_a_line() {
        let text = set(&[
            (0.0, 100.0, "• first point is long enough"),
            (0.0, 88.0, "• second"),
        ]);
        assert_eq!(text, "• first point is long enough\n• second");
    }
}
