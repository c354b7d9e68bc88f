//! Columns.

use anstyle::Style;

use super::{BOLD, paint};

/// Rows under a header; every column as wide as its widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<(String, Style)>) {
        self.rows.push(cells);
    }

    pub(crate) fn render(&self) -> String {
        let mut widths: Vec<usize> = self.header.iter().map(|title| title.chars().count()).collect();
        for row in &self.rows {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let header: Vec<_> = self.header.iter().map(|title| ((*title).to_owned(), BOLD)).collect();
        let mut out = line(&header, &widths);
        for row in &self.rows {
            out.push_str(&line(row, &widths));
        }
        out
    }
}

/// A cell without a style.
pub(crate) fn cell(text: impl Into<String>) -> (String, Style) {
    (text.into(), Style::new())
}

fn line(cells: &[(String, Style)], widths: &[usize]) -> String {
    let mut out = String::new();
    for (at, ((text, style), width)) in cells.iter().zip(widths).enumerate() {
        out.push_str(&paint(*style, text));
        // No blanks at the end of a line.
        if at + 1 < cells.len() {
            out.push_str(&" ".repeat(width - text.chars().count().min(*width) + 2));
        }
    }
    out.push('\n');
    out
}
