//! Tables on a page: by the lines drawn around their cells, or by cells that stand below each other.

use super::{Block, Fragment, joined};

/// How near, in points, lines of a grid are the same line.
const NEAR: f64 = 3.0;
/// White between cells, in ems.
const CELL_GAP: f64 = 1.0;
/// Rows without lines around them that make a table.
const ROWS: usize = 3;
/// Longest cell, in bytes, that is a cell and no frame around text.
const CELL: usize = 1_000;
/// Most lines drawn on a page that are looked at; drawings have more.
const MOST_LINES: usize = 5_000;

/// A line drawn along or across the text, in the frame of the fragments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// From left to right, and from top to bottom.
    pub along: (f64, f64),
    pub down: (f64, f64),
}

impl Rule {
    fn is_level(&self) -> bool {
        self.down.1 - self.down.0 < NEAR && self.along.1 - self.along.0 > NEAR
    }

    fn is_upright(&self) -> bool {
        self.along.1 - self.along.0 < NEAR && self.down.1 - self.down.0 > NEAR
    }

    fn touches(&self, other: &Rule) -> bool {
        self.along.0 <= other.along.1 + NEAR
            && other.along.0 <= self.along.1 + NEAR
            && self.down.0 <= other.down.1 + NEAR
            && other.down.0 <= self.down.1 + NEAR
    }
}

/// Takes the tables out of `fragments`, which are in reading order, and puts rows in their place.
pub fn tables(fragments: Vec<Fragment>, rules: &[Rule]) -> Vec<Block> {
    let mut blocks: Vec<Block> = fragments.into_iter().map(Block::Text).collect();
    for grid in grids(rules) {
        blocks = with_grid(blocks, &grid);
    }
    aligned(blocks)
}

/// Where the columns and rows of a table part, ascending.
struct Grid {
    columns: Vec<f64>,
    rows: Vec<f64>,
}

/// Lines that touch make a grid, if there are two rows and two columns between them.
fn grids(rules: &[Rule]) -> Vec<Grid> {
    if rules.len() > MOST_LINES {
        return Vec::new();
    }
    let mut groups: Vec<(Rule, Vec<Rule>)> = Vec::new();
    for rule in rules
        .iter()
        .filter(|rule| rule.is_level() || rule.is_upright())
    {
        let (touched, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|(around, _)| around.touches(rule));
        let mut around = *rule;
        let mut all = vec![*rule];
        for (other, lines) in touched {
            around.along = (
                around.along.0.min(other.along.0),
                around.along.1.max(other.along.1),
            );
            around.down = (
                around.down.0.min(other.down.0),
                around.down.1.max(other.down.1),
            );
            all.extend(lines);
        }
        groups = apart;
        groups.push((around, all));
    }
    let found = groups.into_iter().filter_map(|(around, lines)| {
        let ends = [around.along.0, around.along.1];
        let upright = lines
            .iter()
            .filter(|line| line.is_upright())
            .map(|line| line.along.0);
        let columns = distinct(upright.chain(ends).collect());
        let level = lines
            .iter()
            .filter(|line| line.is_level())
            .map(|line| line.down.0);
        let rows = distinct(level.collect());
        let is_table = columns.len() > 2 && rows.len() > 2 && lines.iter().any(Rule::is_upright);
        is_table.then_some(Grid { columns, rows })
    });
    found.collect()
}

fn distinct(mut places: Vec<f64>) -> Vec<f64> {
    places.sort_by(f64::total_cmp);
    places.dedup_by(|b, a| *b - *a < NEAR);
    places
}

impl Grid {
    /// Row and column of the cell in which a fragment stands.
    fn cell(&self, fragment: &Fragment) -> Option<(usize, usize)> {
        let middle = (fragment.start + fragment.end) / 2.0;
        // Above the baseline, where the letters are.
        let height = fragment.baseline - 0.3 * fragment.em;
        let within = |places: &[f64], at: f64| {
            let after = places.partition_point(|place| *place <= at);
            (after > 0 && after < places.len()).then(|| after - 1)
        };
        Some((within(&self.rows, height)?, within(&self.columns, middle)?))
    }
}

/// Moves what stands in the grid into rows, where its first fragment was.
fn with_grid(blocks: Vec<Block>, grid: &Grid) -> Vec<Block> {
    let (wide, high) = (grid.columns.len() - 1, grid.rows.len() - 1);
    let mut cells: Vec<Vec<Vec<Fragment>>> = vec![vec![Vec::new(); wide]; high];
    let mut rest: Vec<Block> = Vec::new();
    let mut place = None;
    let mut taken: Vec<(usize, Fragment)> = Vec::new();
    for block in blocks {
        match block {
            Block::Text(fragment) => match grid.cell(&fragment) {
                Some((row, column)) => {
                    place.get_or_insert(rest.len());
                    taken.push((rest.len(), fragment.clone()));
                    cells[row][column].push(fragment);
                }
                None => rest.push(Block::Text(fragment)),
            },
            row => rest.push(row),
        }
    }
    let rows: Vec<Vec<String>> = cells
        .iter()
        .map(|row| row.iter().map(|cell| joined(cell)).collect())
        .collect();
    let filled = |row: &Vec<String>| row.iter().filter(|cell| !cell.is_empty()).count();
    let several = rows.iter().filter(|row| filled(row) > 1).count();
    let is_table = several > 1 && rows.iter().flatten().all(|cell| cell.len() < CELL);
    let place = place.unwrap_or(0);
    if !is_table {
        // A frame around text, or a drawing: all goes back where it was.
        for (offset, (at, fragment)) in taken.into_iter().enumerate() {
            rest.insert(at + offset, Block::Text(fragment));
        }
        return rest;
    }
    let rows = rows
        .into_iter()
        .filter(|row| filled(row) > 0)
        .map(Block::Row);
    rest.splice(place..place, rows);
    rest
}

/// Cells of a row that stand beside each other with white between them.
type Cells = Vec<Fragment>;

/// Finds rows whose cells stand below each other.
fn aligned(blocks: Vec<Block>) -> Vec<Block> {
    let mut done = Vec::new();
    let mut lines: Vec<Cells> = Vec::new();
    for block in blocks {
        match block {
            Block::Text(fragment) => match lines.last_mut() {
                Some(line) if line[0].is_beside(&fragment) && follows(line, &fragment) => {
                    line.push(fragment)
                }
                _ => lines.push(vec![fragment]),
            },
            row => {
                unruled(std::mem::take(&mut lines), &mut done);
                done.push(row);
            }
        }
    }
    unruled(lines, &mut done);
    done
}

fn follows(line: &[Fragment], next: &Fragment) -> bool {
    line.last()
        .is_some_and(|last| next.start > last.end - 0.5 * last.em)
}

/// Fragments with no more between them than words have are one cell.
fn cells(line: &[Fragment]) -> Vec<Cells> {
    let mut cells: Vec<Cells> = Vec::new();
    for fragment in line {
        match cells.last_mut() {
            Some(cell)
                if cell
                    .last()
                    .is_some_and(|last| fragment.start - last.end < CELL_GAP * last.em) =>
            {
                cell.push(fragment.clone());
            }
            _ => cells.push(vec![fragment.clone()]),
        }
    }
    cells
}

fn unruled(lines: Vec<Cells>, done: &mut Vec<Block>) {
    let mut open: Vec<Vec<Cells>> = Vec::new();
    for line in lines {
        let row = cells(&line);
        let goes_on = open.last().is_none_or(|above| is_below(above, &row));
        match row.len() > 1 && goes_on {
            true => open.push(row),
            false => {
                close(std::mem::take(&mut open), done);
                match row.len() {
                    1 => done.extend(line.into_iter().map(Block::Text)),
                    _ => open.push(row),
                }
            }
        }
    }
    close(open, done);
}

/// Whether a row may be the next one of a table: near, and with two cells that begin, end or are centred
/// where cells above do.
fn is_below(above: &[Cells], row: &[Cells]) -> bool {
    let (first, next) = (&above[0][0], &row[0][0]);
    let em = first.em.max(next.em);
    let step = next.baseline - first.baseline;
    if first.angle != next.angle || step <= 0.0 || step > 3.5 * em {
        return false;
    }
    let ends = |cell: &Cells| (cell[0].start, cell[cell.len() - 1].end);
    let same = |cell: &Cells| {
        let (start, end) = ends(cell);
        above.iter().any(|other| {
            let (from, to) = ends(other);
            let near = |a: f64, b: f64| (a - b).abs() < 0.6 * em;
            near(start, from) || near(end, to) || near(start + end, from + to)
        })
    };
    row.iter().filter(|cell| same(cell)).count() >= 2
}

fn close(rows: Vec<Vec<Cells>>, done: &mut Vec<Block>) {
    let is_table = rows.len() >= ROWS || (rows.len() == 2 && rows.iter().all(|row| row.len() > 2));
    for row in rows {
        match is_table {
            true => done.push(Block::Row(row.iter().map(|cell| joined(cell)).collect())),
            false => done.extend(row.into_iter().flatten().map(Block::Text)),
        }
    }
}
