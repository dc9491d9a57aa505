// SPDX-License-Identifier: GPL-2.0

//! A table for people.

use super::Screen;
use anstyle::Style;
use std::io::{self, Write};

/// The blanks between two columns.
const GAP: usize = 2;

/// No column is made narrower than this, so that something is left to read.
const NARROWEST: usize = 8;

/// Where the texts of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A text in a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Printable ASCII characters only: see [`super::Shown`].
    text: String,
    style: Style,
}

impl Cell {
    /// Creates a cell that is shown in a style where there are colours.
    pub(crate) fn new(text: impl ToString, style: Style) -> Self {
        let text = text.to_string();
        debug_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text:?}");
        Self { text, style }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Style::new())
    }
}

/// A table for people: a title for each column, and rows.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    titles: [(&'static str, Align); N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// Creates a table without rows.
    pub(crate) fn new(titles: [(&'static str, Align); N]) -> Self {
        Self {
            titles,
            rows: Vec::new(),
        }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// Returns whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table. On a terminal, the widest columns are cut so that a row is one line; `+`
    /// is at the end of what is cut.
    pub(crate) fn write(&self, out: &mut impl Write, screen: &Screen) -> io::Result<()> {
        let widths = self.widths(screen.width);
        let bold = Style::new().bold();
        let titles = self.titles.map(|(title, _)| Cell::new(title, bold));
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut blanks = 0;
            for ((cell, width), (_, align)) in row.iter().zip(widths).zip(self.titles) {
                let (text, mark) = match cell.text.len() > width {
                    true => (&cell.text[..width - 1], "+"),
                    false => (cell.text.as_str(), ""),
                };
                let padding = width - text.len() - mark.len();
                let (before, behind) = match align {
                    Align::Left => (0, padding),
                    Align::Right => (padding, 0),
                };
                blanks += before;
                if !text.is_empty() {
                    // Blanks are written when something follows them.
                    write!(out, "{:blanks$}", "")?;
                    blanks = 0;
                    match screen.has_colours && cell.style != Style::new() {
                        true => write!(out, "{0}{text}{mark}{0:#}", cell.style)?,
                        false => write!(out, "{text}{mark}")?,
                    }
                }
                blanks += behind + GAP;
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Returns the widths of the columns, of which the widest are cut to fit.
    fn widths(&self, available: Option<usize>) -> [usize; N] {
        let mut widths = self.titles.map(|(title, _)| title.len());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.len());
            }
        }
        let Some(available) = available else {
            return widths;
        };
        let room = available.saturating_sub(GAP * N.saturating_sub(1));
        let mut most = widths.iter().copied().max().unwrap_or_default();
        while most > NARROWEST
            && widths.iter().map(|width| (*width).min(most)).sum::<usize>() > room
        {
            most -= 1;
        }
        widths.map(|width| width.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstyle::AnsiColor;

    fn shown(width: Option<usize>, has_colours: bool) -> String {
        let mut table = Table::new([
            ("NAME", Align::Left),
            ("N", Align::Right),
            ("WHAT", Align::Left),
        ]);
        table.push([
            "a".into(),
            1.into(),
            Cell::new("red", AnsiColor::Red.on_default()),
        ]);
        table.push(["a-long-name-of-a-module".into(), 1000.into(), "".into()]);
        let mut out = Vec::new();
        table
            .write(&mut out, &Screen { width, has_colours })
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_where_there_is_no_width() {
        assert_eq!(
            shown(None, false),
            "\
NAME                        N  WHAT
a                           1  red
a-long-name-of-a-module  1000
"
        );
    }

    #[test]
    fn cut_to_the_width() {
        assert_eq!(
            shown(Some(22), false),
            "\
NAME           N  WHAT
a              1  red
a-long-na+  1000
"
        );
    }

    #[test]
    fn colours_change_no_width() {
        assert!(shown(None, true).contains("  1  \x1b[31mred\x1b[0m\n"));
    }
}
