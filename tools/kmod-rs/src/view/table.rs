// SPDX-License-Identifier: GPL-2.0

//! A table for people.

use super::Screen;
use anstyle::Style;
use std::array;
use std::fmt::{self, Write as _};
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

/// What becomes a text in a table.
pub(crate) struct Cell<'a> {
    /// Printable ASCII characters only: see [`super::Shown`].
    text: &'a dyn fmt::Display,
    style: Style,
}

impl<'a> Cell<'a> {
    /// Creates a cell that is shown in a style where there are colours.
    pub(crate) fn new(text: &'a dyn fmt::Display, style: Style) -> Self {
        Self { text, style }
    }
}

impl<'a, T: fmt::Display> From<&'a T> for Cell<'a> {
    fn from(text: &'a T) -> Self {
        Self::new(text, Style::new())
    }
}

/// A table for people: a title for each column, and rows.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    titles: [(&'static str, Align); N],
    /// The texts of all cells, row by row: there may be a million.
    text: String,
    /// Where in `text` each cell ends.
    ends: Vec<usize>,
    /// The styles of the cells that have one, by their indices in `ends`.
    styles: Vec<(usize, Style)>,
}

impl<const N: usize> Table<N> {
    /// Creates a table without rows.
    pub(crate) fn new(titles: [(&'static str, Align); N]) -> Self {
        Self {
            titles,
            text: String::new(),
            ends: Vec::new(),
            styles: Vec::new(),
        }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: [Cell<'_>; N]) {
        for cell in row {
            let begin = self.text.len();
            // Writing to a string does not fail.
            let _ = write!(self.text, "{}", cell.text);
            let text = &self.text[begin..];
            debug_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text:?}");
            if cell.style != Style::new() {
                self.styles.push((self.ends.len(), cell.style));
            }
            self.ends.push(self.text.len());
        }
    }

    /// Writes the table. On a terminal, the widest columns are cut so that a row is one line; `+`
    /// is at the end of what is cut.
    pub(crate) fn write(&self, out: &mut impl Write, screen: &Screen) -> io::Result<()> {
        let widths = self.widths(screen.width);
        let bold = Style::new().bold();
        let columns = || widths.into_iter().zip(self.titles.map(|(_, align)| align));
        let titles = self.titles.map(|(title, _)| (title, bold));
        write_row(out, screen, columns().zip(titles))?;
        for row in self.rows() {
            write_row(out, screen, columns().zip(row))?;
        }
        Ok(())
    }

    /// Returns the rows: for each cell its text and its style.
    fn rows(&self) -> impl Iterator<Item = [(&str, Style); N]> {
        let mut begin = 0;
        let mut styles = self.styles.iter().peekable();
        self.ends
            .chunks_exact(N)
            .enumerate()
            .map(move |(row, ends)| {
                array::from_fn(|column| {
                    let text = &self.text[begin..ends[column]];
                    begin = ends[column];
                    let index = row * N + column;
                    let style = styles.next_if(|(styled, _)| *styled == index);
                    (text, style.map_or_else(Style::new, |(_, style)| *style))
                })
            })
    }

    /// Returns the widths of the columns, of which the widest are cut to fit.
    fn widths(&self, available: Option<usize>) -> [usize; N] {
        let mut widths = self.titles.map(|(title, _)| title.len());
        for row in self.rows() {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.len());
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

/// Writes a row: of each cell the width and the alignment, the text and the style.
fn write_row<'a>(
    out: &mut impl Write,
    screen: &Screen,
    row: impl Iterator<Item = ((usize, Align), (&'a str, Style))>,
) -> io::Result<()> {
    let mut blanks = 0;
    for ((width, align), (text, style)) in row {
        let (text, mark) = match text.len() > width {
            true => (&text[..width - 1], "+"),
            false => (text, ""),
        };
        let padding = width - text.len() - mark.len();
        let (before, behind) = match align {
            Align::Left => (0, padding),
            Align::Right => (padding, 0),
        };
        blanks += before;
        if !text.is_empty() {
            // Blanks are written when something follows them.
            write_blanks(out, blanks)?;
            blanks = 0;
            match screen.has_colours && style != Style::new() {
                true => write!(out, "{style}{text}{mark}{style:#}")?,
                false => {
                    out.write_all(text.as_bytes())?;
                    out.write_all(mark.as_bytes())?;
                }
            }
        }
        blanks += behind + GAP;
    }
    out.write_all(b"\n")
}

fn write_blanks(out: &mut impl Write, mut count: usize) -> io::Result<()> {
    const BLANKS: &[u8] = &[b' '; 64];
    while count > 0 {
        let some = count.min(BLANKS.len());
        out.write_all(&BLANKS[..some])?;
        count -= some;
    }
    Ok(())
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
            (&"a").into(),
            (&1).into(),
            Cell::new(&"red", AnsiColor::Red.on_default()),
        ]);
        table.push([
            (&"a-long-name-of-a-module").into(),
            (&1000).into(),
            (&"").into(),
        ]);
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
