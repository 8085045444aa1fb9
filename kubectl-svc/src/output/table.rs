//! Tables as kubectl prints them: columns as wide as their widest cell, three spaces between them.

use std::fmt::Write as _;

/// Rows of as many cells as there are columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: Vec<&'static str>) -> Table {
        Table { heads, rows: Vec::new() }
    }

    /// Appends a row. Cells beyond the columns are left out; an empty one is shown as `-`.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(cells.into_iter().take(self.heads.len()).map(shown).collect());
    }

    pub(crate) fn text(&self, with_heads: bool) -> String {
        let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
        let lines: Vec<&Vec<String>> =
            [&heads].into_iter().filter(|_| with_heads).chain(&self.rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let mut row = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                let _written = write!(row, "{cell:width$}   ");
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec!["NAME", "READY"]);
        table.row(["web".to_owned(), "1/1".to_owned()]);
        table.row(["a-long-name".to_owned(), String::new(), "beyond".to_owned()]);
        assert_eq!(table.text(true), "NAME          READY\nweb           1/1\na-long-name   -\n");
        assert_eq!(table.text(false), "web           1/1\na-long-name   -\n");
    }
}
