// SPDX-License-Identifier: GPL-2.0

//! The knobs: what an administrator can set below `/proc/sys/kernel`.
//!
//! [`KNOBS`] is the table of all knobs, from which their files are made. A test on the host compares
//! it with Documentation/admin-guide.rst, and a test in the guest tries each range. Both read the
//! first line of each entry, which therefore has to be one line.
//!
//! wrappers/sysctl.rs reads and writes the files.

use crate::{
    concurrency::Slots,
    firewall::{
        policy::Mode,
        Firewall, //
    },
    livepatch,
    records::uses::Uses,
    request::{
        answers::{
            self,
            Answers, //
        },
        chain,
        settings::Settings,
        Unwaiting, //
    },
    wrappers::{
        log::Escaped,
        requester::{
            self,
            Requester, //
        },
        sysctl::{
            Content,
            File,
            Number::{
                self,
                At,
                EachWrite,
                Through, //
            },
            Registration, //
        }, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// `/proc/sys/kernel`.
const KERNEL: &CStr = c"kernel";

/// `/proc/sys/kernel/kmod_rs`.
const KMOD_RS: &CStr = c"kernel/kmod_rs";

/// Who may use a knob.
struct Access {
    /// The permissions of the file.
    mode: u16,
    /// Checks whether the current task, which the permissions let in, may write.
    may_write: fn(&State) -> Result,
}

/// A task with CAP_SYS_MODULE in the initial user namespace may write.
const CAPABLE: Access = Access {
    mode: 0o644,
    may_write: |_| requester::may_configure(),
};

/// The same, as long as the rules of the firewall are not locked and are enforced by somebody. What
/// they are is not for everybody to know.
const RULES: Access = Access {
    mode: 0o600,
    may_write: may_change_rules,
};

/// Checks whether the current task may change the rules of the firewall.
///
/// Returns the errors of [`Firewall::may_change`], or [`ENODEV`] if no requests come here, so that
/// the rules would not be enforced.
fn may_change_rules(s: &State) -> Result {
    s.firewall.may_change()?;
    if !livepatch::is_active() {
        pr_warn!(
            "autoload rules not changed ({}): the kernel serves requests, without rules; load kmod_rs again\n",
            Requester::current(),
        );
        return Err(ENODEV);
    }
    Ok(())
}

/// Logs that a part of a list was refused.
fn not_whole(_: &State, name: &CStr) {
    pr_warn!(
        "{} not changed ({}): no newline at the end, so it may be a part of a list; use dd bs=16K iflag=fullblock if=LIST of=/proc/sys/kernel/kmod_rs/{}\n",
        Escaped(name.to_bytes()),
        Requester::current(),
        Escaped(name.to_bytes()),
    );
}

/// All the knobs, in the order in which admin-guide.rst has them.
#[rustfmt::skip]
static KNOBS: [Knob; 20] = [
    //     directory, name                 range              default  who may write
    //         where the value is kept
    number(KERNEL,  c"kmod-limit",           1..=1_000,            50, CAPABLE,
        Through(|s| s.slots.limit(), |s, n| { s.set_limit(n); Ok(()) })),
    status(KMOD_RS, c"active",
        |_| livepatch::is_active().into()),
    number(KMOD_RS, c"busy_timeout_ms",      1..=3_600_000,     5_000, CAPABLE,
        Through(|s| s.slots.busy_timeout_ms(), |s, n| { s.slots.set_busy_timeout_ms(n); Ok(()) })),
    number(KMOD_RS, c"loop_repeats",         1..=1_000,             2, CAPABLE,
        At(|s| &s.settings.limits.loop_repeats)),
    number(KMOD_RS, c"chain_limit",          1..=32,                8, CAPABLE,
        At(|s| &s.settings.limits.chain_limit)).up_to(chain::MAX_CHAIN),
    number(KMOD_RS, c"coalesce",             0..=1,                 1, CAPABLE,
        At(|s| &s.settings.coalesce)),
    number(KMOD_RS, c"coalesce_timeout_ms",  1..=3_600_000,     2_000, CAPABLE,
        At(|s| &s.settings.coalesce_timeout_ms)),
    number(KMOD_RS, c"answers",              0..=4_096,             0, CAPABLE,
        EachWrite(|s| s.answers.capacity(), |s, n| { s.answers.set_capacity(n); Ok(()) }))
        .up_to(answers::MAX_ANSWERS),
    number(KMOD_RS, c"answers_ttl_ms",       1_000..=3_600_000, 60_000, CAPABLE,
        At(|s| s.answers.ttl_ms())),
    number(KMOD_RS, c"helper_timeout_ms",    0..=3_600_000,         0, CAPABLE,
        At(|s| &s.settings.helper_timeout_ms)),
    number(KMOD_RS, c"helper_env",           0..=1,                 0, CAPABLE,
        At(|s| &s.settings.helper_env)),
    number(KMOD_RS, c"log_requests",         0..=2,                 0, CAPABLE,
        At(|s| &s.settings.log_requests)),
    number(KMOD_RS, c"track_use",            0..=1,                 0, CAPABLE,
        Through(|s| s.uses.are_noted().into(), |s, n| s.uses.note(n != 0))),
    number(KMOD_RS, c"autoload_mode",        0..=2,                 0, RULES,
        Through(|s| s.firewall.rules().mode.number(), |s, n| s.firewall.set_mode(n)))
        .up_to(Mode::MAX),
    text  (KMOD_RS, c"autoload_allow",       4_096,                "", RULES,
        |s| s.firewall.rules().allow.text(), |s, list| s.firewall.set_allow(list)),
    text  (KMOD_RS, c"autoload_deny",        4_096,                "", RULES,
        |s| s.firewall.rules().deny.text(), |s, list| s.firewall.set_deny(list)),
    number(KMOD_RS, c"autoload_system_uids", 0..=4_294_967_294,     0, RULES,
        Through(|s| s.firewall.rules().system_uids, |s, n| s.firewall.set_system_uids(n))),
    number(KMOD_RS, c"autoload_setuid",      0..=1,                 1, RULES,
        Through(|s| s.firewall.rules().setuid.into(), |s, n| s.firewall.set_setuid(n != 0))),
    number(KMOD_RS, c"autoload_enforce",     0..=1,                 1, RULES,
        Through(|s| s.firewall.rules().enforce.into(), |s, n| s.firewall.set_enforce(n != 0))),
    number(KMOD_RS, c"autoload_lock",        0..=1,                 0, RULES,
        // No other value than 1 comes here: it is 0, or nobody may write.
        Through(|s| s.firewall.is_locked().into(), |s, _| s.firewall.lock())),
];

/// What keeps the values.
#[derive(Clone)]
pub(crate) struct State {
    /// The slots.
    pub(crate) slots: Arc<Slots>,
    /// The requests that do not wait.
    pub(crate) unwaiting: Arc<Unwaiting>,
    /// What else a request is served by.
    pub(crate) settings: Arc<Settings>,
    /// The remembered answers.
    pub(crate) answers: Arc<Answers>,
    /// Whether uses of modules are noted.
    pub(crate) uses: Arc<Uses>,
    /// Who may have which module loaded.
    pub(crate) firewall: Arc<Firewall>,
}

impl State {
    fn set_limit(&self, limit: u32) {
        self.slots.set_limit(limit);
        // There may be more permits, too.
        self.unwaiting.pump();
    }
}

/// An entry of the table.
struct Knob {
    directory: &'static CStr,
    file: File<State>,
    default: Value,
}

impl Knob {
    /// Compares the greatest number with the constant that it is known by where it is kept. If they
    /// differ, that does not compile.
    const fn up_to(self, known: u32) -> Self {
        assert!(matches!(self.file.content, Content::Number { max, .. } if max == known));
        self
    }

    /// Whether the default is a value that could be written as well.
    const fn is_sound(&self) -> bool {
        match (&self.file.content, &self.default) {
            (Content::Number { min, max, .. }, Value::Number(default)) => {
                *min <= *default && *default <= *max
            }
            (Content::Text { max, .. }, Value::Text(default)) => default.len() <= *max,
            (Content::Number { .. }, Value::Status) => self.file.may_write.is_none(),
            _ => false,
        }
    }
}

/// What a knob is until somebody writes to it.
enum Value {
    /// Nobody can write to it.
    Status,
    /// A number.
    Number(u32),
    /// A text.
    Text(&'static str),
}

/// A number that nobody can write.
const fn status(directory: &'static CStr, name: &'static CStr, get: fn(&State) -> u32) -> Knob {
    Knob {
        directory,
        file: File {
            name,
            mode: 0o444,
            may_write: None,
            content: Content::Number {
                min: 0,
                max: u32::MAX,
                number: Through(get, |_, _| Err(EPERM)),
            },
        },
        default: Value::Status,
    }
}

/// A number in a range.
const fn number(
    directory: &'static CStr,
    name: &'static CStr,
    range: RangeInclusive<u32>,
    default: u32,
    access: Access,
    number: Number<State>,
) -> Knob {
    Knob {
        directory,
        file: File {
            name,
            mode: access.mode,
            may_write: Some(access.may_write),
            content: Content::Number {
                min: *range.start(),
                max: *range.end(),
                number,
            },
        },
        default: Value::Number(default),
    }
}

/// A list of patterns: a line of at most `max` bytes, with its newline.
const fn text(
    directory: &'static CStr,
    name: &'static CStr,
    max: usize,
    default: &'static str,
    access: Access,
    get: fn(&State) -> Result<CString>,
    set: fn(&State, &[u8]) -> Result,
) -> Knob {
    Knob {
        directory,
        file: File {
            name,
            mode: access.mode,
            may_write: Some(access.may_write),
            content: Content::Text {
                max,
                get,
                set,
                refused: not_whole,
            },
        },
        default: Value::Text(default),
    }
}

/// The files of all knobs, for as long as this value lives.
#[pin_data]
pub(crate) struct Knobs {
    #[pin]
    _kernel: Registration<State>,
    #[pin]
    _kmod_rs: Registration<State>,
}

impl Knobs {
    /// Makes the files.
    ///
    /// Returns [`ENOMEM`] when that fails, or when there is such a file already.
    ///
    /// Context: may sleep.
    pub(crate) fn new(state: State) -> impl PinInit<Self, Error> {
        const {
            let mut i = 0;
            while i < KNOBS.len() {
                assert!(KNOBS[i].is_sound());
                i += 1;
            }
        }
        try_pin_init!(Self {
            _kernel <- Registration::new(KERNEL, files_in(KERNEL), state.clone()),
            _kmod_rs <- Registration::new(KMOD_RS, files_in(KMOD_RS), state),
        })
    }
}

/// The files of the knobs in a directory.
fn files_in(directory: &'static CStr) -> impl Iterator<Item = &'static File<State>> {
    KNOBS
        .iter()
        .filter(move |knob| knob.directory == directory)
        .map(|knob| &knob.file)
}

#[kunit_tests(kmod_rs_knobs)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::Rules,
        log_limits::LogLimits,
        records::remembered::Remembered,
        wrappers::private_symbols::PrivateSymbols, //
    };
    use kernel::sync::atomic::Atomic;

    fn state() -> Result<State> {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
        let symbols = PrivateSymbols::find()?;
        let kept = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        Ok(State {
            slots: slots.clone(),
            unwaiting: Unwaiting::new(slots, symbols, kept)?,
            settings: Arc::new(Settings::new(), GFP_KERNEL)?,
            answers: Answers::new(Arc::new(Remembered::new(), GFP_KERNEL)?)?,
            uses: Uses::new()?,
            firewall: Firewall::new(Rules::new()?, LogLimits::new()?, symbols)?,
        })
    }

    #[test]
    fn a_fresh_value_is_the_default() -> Result {
        let state = state()?;
        for knob in &KNOBS {
            match (&knob.file.content, &knob.default) {
                (Content::Number { number, .. }, Value::Number(default)) => {
                    assert_eq!(number.get(&state), *default);
                }
                (Content::Text { get, .. }, Value::Text(default)) => {
                    assert_eq!(get(&state)?.to_bytes(), default.as_bytes());
                }
                _ => assert!(knob.file.may_write.is_none()),
            }
        }
        Ok(())
    }

    #[test]
    fn both_ends_of_a_range_are_kept() -> Result {
        let state = state()?;
        for knob in &KNOBS {
            // A lock that is set stays, and the module with it.
            if knob.file.may_write.is_none() || knob.file.name == c"autoload_lock" {
                continue;
            }
            match &knob.file.content {
                Content::Number { min, max, number } => {
                    for value in [*max, *min] {
                        number.set(&state, value)?;
                        assert_eq!(number.get(&state), value);
                    }
                }
                Content::Text { max, get, set, .. } => {
                    let mut written = KVec::from_elem(b'a', *max - 1, GFP_KERNEL)?;
                    written.push(b'\n', GFP_KERNEL)?;
                    set(&state, &written)?;
                    assert_eq!(get(&state)?.to_bytes(), &written[..*max - 1]);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn each_knob_is_in_a_directory_and_only_once() -> Result {
        let files = Iterator::chain(files_in(KERNEL), files_in(KMOD_RS));
        assert_eq!(files.count(), KNOBS.len());
        for (i, knob) in KNOBS.iter().enumerate() {
            let same = |other: &Knob| other.file.name == knob.file.name;
            assert!(!KNOBS[..i].iter().any(same));
        }
        Ok(())
    }
}
