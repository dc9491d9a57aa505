// SPDX-License-Identifier: GPL-2.0

//! The rules that are given as parameters of the module.
//!
//! They are in force before the first request comes. What cannot be understood makes the load of the
//! module fail, so that nobody takes rules for granted that are not there.

use crate::{
    firewall::{
        patterns::Patterns,
        policy::{
            Mode,
            Rules, //
        }, //
    },
    wrappers::log::Escaped, //
};
use kernel::{
    fmt,
    fmt::Write as _,
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// How many bytes of a list are shown in the log line, as they are shown there.
///
/// printk cuts a line that is longer than 1024 bytes, and there are two lists.
const MAX_SHOWN: usize = 400;

/// The rules as they were given.
pub(crate) struct Parameters {
    /// `autoload_mode`.
    pub(crate) mode: u32,
    /// `autoload_enforce`.
    pub(crate) enforce: u32,
    /// `autoload_allow`, if it was given.
    pub(crate) allow: Option<CString>,
    /// `autoload_deny`, if it was given.
    pub(crate) deny: Option<CString>,
}

impl Parameters {
    /// Returns these rules.
    ///
    /// Returns [`EINVAL`], and logs why, if a value is not valid, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn rules(&self) -> Result<Rules> {
        let mut rules = Rules::new()?;

        rules.mode = Mode::from_number(self.mode)
            .ok_or(EINVAL)
            .inspect_err(|_| {
                pr_err!("autoload_mode={} is out of range: 0 to 2\n", self.mode);
            })?;
        rules.enforce = match self.enforce {
            0 => false,
            1 => true,
            other => {
                pr_err!("autoload_enforce={other} is out of range: 0 to 1\n");
                return Err(EINVAL);
            }
        };
        if let Some(text) = &self.allow {
            rules.allow = list("autoload_allow", text)?;
        }
        if let Some(text) = &self.deny {
            rules.deny = list("autoload_deny", text)?;
        }
        Ok(rules)
    }
}

/// Parses a list that was given.
fn list(name: &str, text: &CStr) -> Result<Arc<Patterns>> {
    // A list that is written ends in a newline.
    let mut line = KVVec::new();
    line.extend_from_slice(text.to_bytes(), GFP_KERNEL)?;
    line.push(b'\n', GFP_KERNEL)?;

    let list = Patterns::parse(&line).inspect_err(|error| {
        if *error == EINVAL {
            pr_err!("{name} is no valid list of patterns: correct it, or leave it out\n");
        }
    })?;
    Ok(Arc::new(list, GFP_KERNEL)?)
}

/// Logs the rules with which the module is loaded.
///
/// Returns [`ENOMEM`].
///
/// Context: may sleep.
pub(crate) fn log_at_load(rules: &Rules) -> Result {
    pr_info!(
        "autoload rules at load: mode={} enforce={} allow={} deny={}\n",
        rules.mode.number(),
        u8::from(rules.enforce),
        Shown(rules.allow.text()?.to_bytes()),
        Shown(rules.deny.text()?.to_bytes()),
    );
    Ok(())
}

/// A list in quotes: the patterns for which there is room, then the number of the others.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = MAX_SHOWN;
        let mut others = 0;

        f.write_char('"')?;
        let patterns = self.0.split(|byte| *byte == b' ');
        for (i, pattern) in patterns.enumerate() {
            let length = shown_length(pattern) + 1;
            if others > 0 || length > left {
                others += 1;
                continue;
            }
            left -= length;
            if i > 0 {
                f.write_char(' ')?;
            }
            Escaped(pattern).fmt(f)?;
        }
        if others > 0 {
            f.write_fmt(fmt!(" +{others}"))?;
        }
        f.write_char('"')
    }
}

/// Returns how many bytes a pattern takes as [`Escaped`] shows it.
fn shown_length(pattern: &[u8]) -> usize {
    let length_of = |byte: &u8| match byte {
        b'"' | b'\\' => 4,
        b'!'..=b'~' => 1,
        _ => 4,
    };
    pattern.iter().map(length_of).sum()
}

#[kunit_tests(kmod_rs_parameters)]
mod tests {
    use super::*;
    use crate::firewall::patterns::MAX_WRITTEN;

    const NONE: Parameters = Parameters {
        mode: 0,
        enforce: 1,
        allow: None,
        deny: None,
    };

    fn given(text: &CStr) -> Result<Option<CString>> {
        Ok(Some(text.to_cstring()?))
    }

    fn shown(list: &[u8]) -> Result<CString> {
        CString::try_from_fmt(fmt!("{}", Shown(list)))
    }

    /// Whether these parameters are refused.
    fn is_refused(parameters: Parameters) -> bool {
        matches!(parameters.rules(), Err(EINVAL))
    }

    #[test]
    fn what_is_given_is_in_force() -> Result {
        assert!(!NONE.rules()?.are_in_force());

        let parameters = Parameters {
            mode: 1,
            enforce: 0,
            allow: given(c"fs-* net-pf-10")?,
            deny: given(c" fs-bad")?,
        };
        let rules = parameters.rules()?;
        assert!(rules.are_in_force());
        assert_eq!(rules.mode, Mode::Privileged);
        assert!(!rules.enforce);
        assert_eq!(rules.allow.text()?.to_bytes(), b"fs-* net-pf-10");
        assert_eq!(rules.deny.text()?.to_bytes(), b"fs-bad");
        Ok(())
    }

    #[test]
    fn what_cannot_be_understood_is_refused() -> Result {
        assert!(!is_refused(NONE));
        assert!(is_refused(Parameters { mode: 3, ..NONE }));
        assert!(is_refused(Parameters { enforce: 2, ..NONE }));
        for bad in [c"[", c"a\nb", c"a\n", c"a\\"] {
            let (allow, deny) = (given(bad)?, given(bad)?);
            assert!(is_refused(Parameters { allow, ..NONE }));
            assert!(is_refused(Parameters { deny, ..NONE }));
        }
        Ok(())
    }

    #[test]
    fn a_long_list_is_cut_between_patterns() -> Result {
        assert_eq!(shown(b"")?.to_bytes(), b"\"\"");
        assert_eq!(shown(b"a* b\\?")?.to_bytes(), b"\"a* b\\x5c?\"");
        let long = KVec::from_elem(b'a', MAX_WRITTEN, GFP_KERNEL)?;
        assert_eq!(shown(&long)?.to_bytes(), b"\" +1\"");

        // Each takes 9 bytes, the blank included.
        let mut list = KVec::new();
        for _ in 0..100 {
            list.extend_from_slice(b"\x01\x01 ", GFP_KERNEL)?;
        }
        let shown = shown(&list[..list.len() - 1])?;
        assert!(shown.to_bytes().ends_with(b"\\x01 +56\""));
        assert!(shown.to_bytes().len() <= MAX_SHOWN + 10);
        Ok(())
    }
}
