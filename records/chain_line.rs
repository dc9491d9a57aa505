// SPDX-License-Identifier: GPL-2.0

//! How the names of a chain are shown, and cut where there is little room: in log lines and in
//! trace events.
//!
//! Has no counterpart in the C code.

use crate::wrappers::name::Name;
use kernel::{
    fmt,
    fmt::Write as _,
    prelude::*, //
};

/// How many bytes of a chain are shown where there is little room.
///
/// printk cuts a line that is longer than 1024 bytes, and its newline is lost. ftrace drops an event
/// that does not fit into a page, and perf warns of one that is longer than 8192 bytes
/// (`PERF_MAX_TRACE_SIZE`).
const MAX_SHOWN: usize = 700;

/// The names of a chain and of the request at its end, outermost first, each escaped.
pub(crate) struct ChainLine<F> {
    /// How many helpers the chain has.
    helpers: usize,
    /// Returns the name at a position: 0 is the outermost one, `helpers` that of the request.
    name: F,
    /// If there are more bytes than that, only the first name and the last two are shown.
    room: usize,
}

impl<'a, F: Fn(usize) -> &'a Name> ChainLine<F> {
    /// Returns what shows the whole chain.
    pub(crate) fn whole(helpers: usize, name: F) -> Self {
        Self {
            helpers,
            name,
            room: usize::MAX,
        }
    }

    /// Returns what shows the chain where there is little room: in at most [`MAX_SHOWN`] bytes.
    pub(crate) fn cut(helpers: usize, name: F) -> Self {
        Self {
            helpers,
            name,
            room: MAX_SHOWN,
        }
    }

    /// Returns how many bytes the whole chain takes, and a few more.
    fn length(&self) -> Result<usize, fmt::Error> {
        let mut length = Length(0);
        for position in 0..=self.helpers {
            length.write_fmt(fmt!("{} -> ", (self.name)(position)))?;
        }
        Ok(length.0)
    }
}

impl<'a, F: Fn(usize) -> &'a Name> fmt::Display for ChainLine<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cut = self.helpers > 2 && self.room != usize::MAX && self.length()? > self.room;

        for position in 0..=self.helpers {
            if is_cut && (1..self.helpers - 1).contains(&position) {
                if position == 1 {
                    f.write_str(" -> ...")?;
                }
                continue;
            }
            let separator = if position == 0 { "" } else { " -> " };
            f.write_fmt(fmt!("{separator}{}", (self.name)(position)))?;
        }
        Ok(())
    }
}

/// Counts the bytes that are written to it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.len();
        Ok(())
    }
}

#[kunit_tests(kmod_rs_chain_line)]
mod tests {
    use super::*;
    use kernel::str::CString;

    fn shown(line: impl fmt::Display) -> Result<CString> {
        CString::try_from_fmt(fmt!("{line}"))
    }

    /// A name of 55 bytes, each of which takes four when it is shown.
    fn hostile() -> Result<Name> {
        Ok(Name::new(&*CString::try_from_fmt(fmt!("{:\u{1}<55}", ""))?))
    }

    #[test]
    fn a_chain_with_room_is_whole() -> Result {
        let names = [Name::new(c"a"), Name::new(c"b"), Name::new(c"c d")];
        let name = |position: usize| &names[position];
        assert_eq!(shown(ChainLine::cut(0, name))?.to_bytes(), b"a");
        let expected = b"a -> b -> c\\x20d";
        assert_eq!(shown(ChainLine::cut(2, name))?.to_bytes(), expected);
        assert_eq!(shown(ChainLine::whole(2, name))?.to_bytes(), expected);
        Ok(())
    }

    #[test]
    fn a_cut_chain_is_short_whatever_the_names() -> Result {
        let hostile = hostile()?;
        let last = Name::new(c"last");
        for helpers in 0..=40 {
            let name = |position| if position < helpers { &hostile } else { &last };
            let line = shown(ChainLine::cut(helpers, name))?;
            assert!(line.to_bytes().len() <= MAX_SHOWN);
            assert!(line.to_bytes().ends_with(b"last"));
        }
        Ok(())
    }

    #[test]
    fn a_whole_chain_has_all_names() -> Result {
        let hostile = hostile()?;
        let line = shown(ChainLine::whole(32, |_| &hostile))?;
        assert_eq!(line.to_bytes().len(), 33 * 220 + 32 * 4);
        Ok(())
    }
}
