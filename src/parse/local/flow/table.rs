//! Tables of a flowing document, and tables in their cells.

use super::{Block, Flow};
use crate::text::one_line;

/// Longest cell, in bytes, that stays in its table's row; longer ones are layout, not data.
const CELL: usize = 1_200;

/// Tables in tables; what is in deeper ones stands in the cell of the last.
const DEEPEST: usize = 20;
/// Most columns a cell may say that it takes.
const MOST_COLUMNS: i64 = 100;

/// A table that is being read.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
}

#[derive(Default)]
pub(super) struct Row {
    pub(super) cells: Vec<Vec<Block>>,
    /// The page ended before or in this row.
    pub(super) on_new_page: bool,
}

impl Flow {
    pub fn open_table(&mut self) {
        match self.tables.len() < DEEPEST {
            true => self.tables.push(Table::default()),
            false => self.deeper += 1,
        }
    }

    pub fn open_row(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.rows.push(Row::default());
        }
    }

    pub fn open_cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            if table.rows.is_empty() {
                table.rows.push(Row::default());
            }
            if let Some(row) = table.rows.last_mut() {
                row.cells.push(Vec::new());
            }
        }
    }

    /// The last cell stands in this column, from 0: those before it belong to cells from above.
    pub fn at_column(&mut self, column: usize) {
        let row = self
            .tables
            .last_mut()
            .and_then(|table| table.rows.last_mut());
        let Some(row) = row else { return };
        while !row.cells.is_empty() && row.cells.len() <= column.min(MOST_COLUMNS as usize) {
            row.cells.insert(row.cells.len() - 1, Vec::new());
        }
    }

    /// The last cell takes so many columns.
    pub fn span(&mut self, columns: i64) {
        for _ in 1..columns.min(MOST_COLUMNS) {
            self.open_cell();
        }
    }

    pub fn close_table(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(table) = self.tables.pop() else {
            return;
        };
        let is_frame = table.rows.len() == 1 && table.rows[0].cells.len() == 1;
        let mut empty = true;
        for row in table.rows {
            if row.on_new_page && self.tables.is_empty() && !(empty && self.is_at_top()) {
                self.page_break();
            }
            empty = false;
            let is_layout = row.cells.iter().any(|cell| {
                let size: usize = cell.iter().map(|block| block.text().len()).sum();
                size > CELL
            });
            if is_frame || is_layout {
                for block in row.cells.into_iter().flatten() {
                    self.place(block);
                }
            } else {
                let cells: Vec<String> = row.cells.iter().map(|cell| joined(cell)).collect();
                if let Some(line) = table_row(&cells) {
                    self.place(Block::Row(line));
                }
            }
        }
    }

    /// A row of cells in a table of its own or the one before it.
    pub fn row(&mut self, cells: &[String]) {
        if let Some(line) = table_row(cells) {
            self.push(Block::Row(line));
        }
    }
}

/// Cells as a row of a Markdown table; `None` where all are empty.
pub fn table_row(cells: &[String]) -> Option<String> {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| one_line(cell).replace('|', "\\|"))
        .collect();
    let filled = cells.iter().rposition(|cell| !cell.is_empty())?;
    Some(format!("| {} |", cells[..=filled].join(" | ")))
}

/// What stands in a cell, on one line. Rows of a table in it lose their bars.
fn joined(cell: &[Block]) -> String {
    let mut text = String::new();
    for block in cell {
        let part = match block {
            Block::Row(row) => row.trim_matches(['|', ' ']).replace(" | ", ", "),
            Block::Heading(heading) => heading.trim_start_matches(['#', ' ']).to_owned(),
            other => other.text().to_owned(),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&part);
    }
    text
}
