//! The order in which a reader goes through a page. Programs draw pages in it almost always, so their order
//! is kept unless there is evidence against it: text that jumps about, columns drawn a line here and a line
//! there, or the right column before the left.

use super::Fragment;

/// Share of steps back, as one in so many, from which the drawing order is none.
const JUMPS: usize = 12;
/// Share of a column's width that lines of prose fill.
const FULL: f64 = 0.75;
/// Lines a column has at least.
const LINES: usize = 5;
/// Least width of the white between columns, in ems.
const GUTTER: f64 = 0.8;
/// Widest space between words, in ems.
const SPACE: f64 = 0.7;
/// Lines across both columns that any page may have: a title and what is below it, a page number.
const TITLES: usize = 4;
/// Columns in columns.
const DEEPEST: usize = 4;

/// Puts the fragments of a page, which come as they were drawn, into reading order.
pub fn reading_order(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let fragments = with_marks(edges_last(fragments));
    let is_scattered = {
        let back = fragments
            .windows(2)
            .filter(|w| goes_back(&w[0], &w[1]))
            .count();
        back >= 4 && back * JUMPS > fragments.len()
    };
    if is_scattered || is_out_of_columns(&fragments) {
        return by_place(fragments, 0);
    }
    fragments
}

/// Whether `next` stands where the reader has been already.
fn goes_back(last: &Fragment, next: &Fragment) -> bool {
    let em = last.em.max(next.em);
    let up = last.baseline - next.baseline;
    match up.abs() < 0.5 * em {
        true => next.end <= last.start,
        // To the top of the next column is no step back.
        false => up > 0.0 && next.start < last.end && next.end > last.start - 20.0 * em,
    }
}

/// A header drawn last goes first, a footer drawn first goes last.
fn edges_last(mut fragments: Vec<Fragment>) -> Vec<Fragment> {
    let lowest = |part: &[Fragment]| part.iter().map(|f| f.baseline).fold(f64::MIN, f64::max);
    let highest = |part: &[Fragment]| part.iter().map(|f| f.baseline).fold(f64::MAX, f64::min);
    for count in (1..=3.min(fragments.len() / 4)).rev() {
        let (first, rest) = fragments.split_at(count);
        let em = first[0].em;
        if highest(first) > lowest(rest) + 0.5 * em {
            fragments.rotate_left(count);
            break;
        }
    }
    for count in (1..=3.min(fragments.len() / 4)).rev() {
        let (rest, last) = fragments.split_at(fragments.len() - count);
        let em = last[0].em;
        if lowest(last) < highest(rest) - 0.5 * em {
            fragments.rotate_right(count);
            break;
        }
    }
    fragments
}

/// Numbers and bullets of a list that were drawn apart from its items go before them.
fn with_marks(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let is_mark = |f: &Fragment| {
        let text = f.text.trim();
        let length = text.chars().count();
        length == 1 && text.chars().all(|c| !c.is_alphanumeric())
            || (length <= 4
                && text.ends_with(['.', ')'])
                && text.chars().any(|c| c.is_ascii_digit()))
    };
    let follows = |mark: &Fragment, text: &Fragment| {
        mark.angle == text.angle
            && (mark.baseline - text.baseline).abs() < 0.3 * text.em
            && text.start >= mark.end
            && text.start - mark.end < 3.0 * text.em
    };
    let mut place: Vec<usize> = (0..fragments.len()).map(|at| 2 * at + 1).collect();
    for (at, mark) in fragments.iter().enumerate().filter(|(_, f)| is_mark(f)) {
        if fragments
            .get(at + 1)
            .is_some_and(|next| follows(mark, next))
        {
            continue;
        }
        let item = fragments
            .iter()
            .position(|text| !is_mark(text) && follows(mark, text));
        if let Some(item) = item {
            place[at] = 2 * item;
        }
    }
    let mut placed: Vec<(usize, Fragment)> = place.into_iter().zip(fragments).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, fragment)| fragment).collect()
}

/// Whether there are columns of prose that were not drawn one after the other.
fn is_out_of_columns(fragments: &[Fragment]) -> bool {
    let Some(gutter) = gutter(fragments, true) else {
        return false;
    };
    let sides: Vec<bool> = fragments
        .iter()
        .filter(|f| !gutter.is_crossed_by(f))
        .map(|f| f.start >= gutter.middle)
        .collect();
    let switches = sides.windows(2).filter(|w| w[0] != w[1]).count();
    let right = sides.iter().filter(|side| **side).count();
    let right_first = sides.iter().take(right).filter(|side| **side).count();
    switches * 4 > sides.len() || (switches <= 4 && right_first * 10 > right * 9)
}

/// White from top to bottom between two columns.
struct Gutter {
    middle: f64,
}

impl Gutter {
    fn is_crossed_by(&self, fragment: &Fragment) -> bool {
        fragment.start < self.middle && fragment.end > self.middle
    }
}

/// The widest white that parts a page's lines into two columns; a few lines may cross it, as titles do.
/// `prose`: only where the lines on both sides are full, as those of a table are not.
fn gutter(fragments: &[Fragment], prose: bool) -> Option<Gutter> {
    let left = fragments.iter().map(|f| f.start).fold(f64::MAX, f64::min);
    let right = fragments.iter().map(|f| f.end).fold(f64::MIN, f64::max);
    let mut ems: Vec<f64> = fragments.iter().map(|f| f.em).collect();
    ems.sort_by(f64::total_cmp);
    let em = *ems.get(ems.len() / 2)?;
    // How much text stands over each half em across the page.
    let step = 0.5 * em;
    let width = ((right - left) / step).ceil();
    if !(8.0..4_000.0).contains(&width) {
        return None;
    }
    let mut over = vec![0usize; width as usize + 1];
    let runs = runs(fragments);
    for (start, end) in &runs {
        let from = ((start - left) / step).ceil() as usize;
        let to = ((end - left) / step) as usize;
        let span = from..to.min(over.len());
        if span.start < span.end {
            over[span].iter_mut().for_each(|count| *count += 1);
        }
    }
    let few = (runs.len() / 12).max(TITLES);
    let (mut best, mut open) = (None::<(usize, usize)>, None);
    let margin = over.len() / 5;
    let inner = over.iter().enumerate().take(over.len() - margin);
    for (at, count) in inner.skip(margin) {
        match (*count <= few, open) {
            (true, None) => open = Some(at),
            (true, Some(_)) => {}
            (false, open_at) => {
                let found = open_at.map(|from| (from, at));
                if found.is_some_and(|(from, to)| best.is_none_or(|(a, b)| to - from > b - a)) {
                    best = found;
                }
                open = None;
            }
        }
    }
    let (from, to) = best?;
    if ((to - from) as f64) * step < GUTTER * em {
        return None;
    }
    let gutter = Gutter {
        middle: left + (from + to) as f64 / 2.0 * step,
    };
    let side = |is_right: bool| -> Vec<&Fragment> {
        let part = fragments.iter().filter(|f| !gutter.is_crossed_by(f));
        part.filter(|f| (f.start >= gutter.middle) == is_right)
            .collect()
    };
    let fits = |part: Vec<&Fragment>| {
        let lines = lines_of(&part);
        let widest = lines
            .iter()
            .map(|(start, end)| end - start)
            .fold(0.0, f64::max);
        let full = lines
            .iter()
            .filter(|(start, end)| end - start > FULL * widest)
            .count();
        let is_prose = full * 2 > lines.len() && widest > 12.0 * em;
        lines.len() >= LINES && (!prose || is_prose)
    };
    (fits(side(false)) && fits(side(true))).then_some(gutter)
}

/// Where words with no more than a space between them begin and end, line by line.
fn runs(fragments: &[Fragment]) -> Vec<(f64, f64)> {
    let mut runs: Vec<(f64, f64)> = Vec::new();
    for mut row in in_rows(sorted(fragments.to_vec())) {
        row.sort_by(|a, b| a.start.total_cmp(&b.start));
        let mut open: Option<(f64, f64)> = None;
        for fragment in &row {
            open = Some(match open {
                Some((start, end)) if fragment.start - end < SPACE * fragment.em => {
                    (start, end.max(fragment.end))
                }
                done => {
                    runs.extend(done);
                    (fragment.start, fragment.end)
                }
            });
        }
        runs.extend(open);
    }
    runs
}

/// Where the lines of some fragments begin and end.
fn lines_of(part: &[&Fragment]) -> Vec<(f64, f64)> {
    let mut sorted: Vec<&&Fragment> = part.iter().collect();
    sorted.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut lines: Vec<(f64, f64, f64)> = Vec::new();
    for fragment in sorted {
        match lines.last_mut() {
            Some((baseline, start, end)) if fragment.baseline - *baseline < 0.5 * fragment.em => {
                *start = start.min(fragment.start);
                *end = end.max(fragment.end);
            }
            _ => lines.push((fragment.baseline, fragment.start, fragment.end)),
        }
    }
    lines
        .into_iter()
        .map(|(_, start, end)| (start, end))
        .collect()
}

/// By where the fragments stand: what crosses the columns parts the page into zones, and in each zone one
/// column comes after the other.
fn by_place(fragments: Vec<Fragment>, depth: usize) -> Vec<Fragment> {
    let found = match depth < DEEPEST {
        true => gutter(&fragments, false),
        false => None,
    };
    let rows = by_rows(fragments);
    let Some(gutter) = found else { return rows };
    let mut ordered = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    // A line that crosses may come as several words, none of which does.
    for row in in_rows(rows) {
        let crosses = row.iter().any(|f| gutter.is_crossed_by(f)) || runs_on(&row, &gutter);
        if crosses {
            ordered.extend(by_place(std::mem::take(&mut left), depth + 1));
            ordered.extend(by_place(std::mem::take(&mut right), depth + 1));
            ordered.extend(row);
            continue;
        }
        for fragment in row {
            match fragment.start >= gutter.middle {
                true => right.push(fragment),
                false => left.push(fragment),
            }
        }
    }
    ordered.extend(by_place(left, depth + 1));
    ordered.extend(by_place(right, depth + 1));
    ordered
}

/// Whether no more than the space between words parts what is on both sides.
fn runs_on(row: &[Fragment], gutter: &Gutter) -> bool {
    let last = row.iter().rfind(|f| f.end <= gutter.middle);
    let first = row.iter().find(|f| f.start >= gutter.middle);
    match (last, first) {
        (Some(last), Some(first)) => first.start - last.end < SPACE * last.em.max(first.em),
        _ => false,
    }
}

/// Line by line from the top, each from the left.
fn by_rows(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let rows = in_rows(sorted(fragments));
    let rows = rows.into_iter().flat_map(|mut row| {
        row.sort_by(|a, b| a.start.total_cmp(&b.start));
        row
    });
    rows.collect()
}

/// From the top, text of one direction together.
fn sorted(mut fragments: Vec<Fragment>) -> Vec<Fragment> {
    fragments.sort_by(|a, b| {
        a.angle
            .cmp(&b.angle)
            .then(a.baseline.total_cmp(&b.baseline))
    });
    fragments
}

/// Fragments on one baseline.
fn in_rows(fragments: Vec<Fragment>) -> Vec<Vec<Fragment>> {
    let mut rows: Vec<Vec<Fragment>> = Vec::new();
    for fragment in fragments {
        match rows.last_mut() {
            Some(row) if row[0].is_beside(&fragment) => row.push(fragment),
            _ => rows.push(vec![fragment]),
        }
    }
    rows
}
