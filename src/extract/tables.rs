//! Tables: runs of rows as every parser writes them, `| a | b |`.

use serde::Serialize;
use utoipa::ToSchema;

use super::MOST;
use crate::document::Page;

/// A table of at least two rows, the first of which is usually its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Table {
    pub page: u32,
    /// Cells by row; rows need not be of one length.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As CSV (RFC 4180).
    ///
    /// # Errors
    /// None that can happen in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let widest = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        for row in &self.rows {
            let filled = row.iter().map(String::as_str).chain(std::iter::repeat(""));
            writer.write_record(filled.take(widest))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// All tables, in order.
pub fn tables(pages: &[&Page]) -> Vec<Table> {
    let mut found = Vec::new();
    for page in pages {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for line in page.text.lines().chain([""]) {
            match cells(line) {
                Some(cells) if is_rule(&cells) => {}
                Some(cells) => rows.push(cells),
                None => {
                    let rows = std::mem::take(&mut rows);
                    if rows.len() > 1 {
                        found.push(Table {
                            page: page.number,
                            rows,
                        });
                    }
                }
            }
        }
    }
    found.truncate(MOST);
    found
}

/// The cells of a row, their escaped bars resolved.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?;
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let cells = inner.replace("\\|", "\u{0}");
    let cells = cells
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"));
    Some(cells.collect())
}

/// The line below the head of a Markdown table.
fn is_rule(cells: &[String]) -> bool {
    cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    #[test]
    fn rows_become_tables_and_csv() {
        let page = page(
            "Fees\n\n| boat | fee |\n|---|---|\n| a\\|b, \"c\" | 20 |\n| long | 30 | x |\n\nEnd\n| alone |",
        );
        let tables = tables(&[&page]);
        assert_eq!(tables.len(), 1);
        assert_eq!(
            tables[0].csv().unwrap(),
            "boat,fee,\n\"a|b, \"\"c\"\"\",20,\nlong,30,x\n"
        );
    }
}
