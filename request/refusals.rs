// SPDX-License-Identifier: GPL-2.0

//! Modules that helpers were refused, and the names that brought them.
//!
//! Has no counterpart in the C code. The firewall refuses a helper a module that is denied by its
//! own name: see module_watcher.rs. By then the module has been read, linked and checked, which
//! costs much, so a name whose helper has failed because of that is remembered, and its next
//! request is denied without a helper.
//!
//! What is remembered is that a name brings a module, and not that it is denied: the firewall is
//! asked again about that module. It holds for the rules and the live modules of that time, and is
//! forgotten when either changes.

use crate::wrappers::{
    modprobe_path::ModprobePath,
    name::{
        folded,
        Name, //
    },
    requester::Account, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// How many names are remembered.
const MAX_NAMES: usize = 64;

/// When a module was refused: under which rules, and after how many changes of the live modules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    rules: u64,
    modules: u64,
}

/// A module that a helper was refused.
#[derive(Clone, Copy)]
pub(crate) struct Refused {
    /// Its name.
    pub(crate) module: Name,
    /// When it was refused.
    pub(crate) stamp: Stamp,
}

/// A name whose helper has failed as it was refused a module.
struct Entry {
    name: Name,
    /// The program that the helper ran.
    path: ModprobePath,
    refused: Refused,
    /// The account of the request.
    account: Account,
}

/// The names that are remembered.
struct Names {
    /// The oldest first. Has room for [`MAX_NAMES`].
    entries: KVec<Entry>,
    /// How often the live modules have changed.
    modules: u64,
}

/// What is known of modules that were refused.
///
/// # Invariants
///
/// While `names` is not locked, `is_empty` says whether there is no entry. It changes only while
/// `names` is locked.
#[pin_data]
pub(crate) struct Refusals {
    /// How many modules were refused.
    count: Atomic<u64>,
    is_empty: Atomic<bool>,
    #[pin]
    names: SpinLock<Names>,
}

impl Refusals {
    /// Creates a value that knows of no refusal.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let entries = KVec::with_capacity(MAX_NAMES, GFP_KERNEL)?;

        // INVARIANT: There is no entry, and `is_empty` says so.
        Arc::pin_init(
            pin_init!(Self {
                count: Atomic::new(0),
                is_empty: Atomic::new(true),
                names <- new_spinlock!(
                    Names { entries, modules: 0 },
                    "kmod_rs::Refusals::names"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Counts a module that is refused.
    ///
    /// Context: any.
    pub(crate) fn refuse(&self) {
        // ORDERING: The helpers that are told of the refusal end after this, here and below.
        self.count.add(1, Relaxed);
    }

    /// Returns how many modules were refused.
    ///
    /// Context: any.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Returns the stamp of now. `rules` is the number of the rules in force, and must be read
    /// before these.
    ///
    /// Context: any but interrupts. Takes `names`.
    pub(crate) fn stamp(&self, rules: u64) -> Stamp {
        Stamp {
            rules,
            modules: self.names.lock().modules,
        }
    }

    /// Notes that a module has become live, or was unloaded. All names are forgotten.
    ///
    /// Context: any but interrupts. Takes `names`.
    pub(crate) fn modules_changed(&self) {
        self.change(|names| {
            names.modules += 1;
            // This frees at most memory.
            names.entries.clear();
        });
    }

    /// Remembers that the helper for `name` runs `path`, and has failed as it was `refused` a
    /// module. `account` is that of its request.
    ///
    /// Does nothing if the live modules have changed since.
    ///
    /// Context: any but interrupts. Takes `names`.
    pub(crate) fn remember(
        &self,
        name: &Name,
        path: &ModprobePath,
        refused: Refused,
        account: Account,
    ) {
        let entry = Entry {
            name: *name,
            path: path.clone(),
            refused,
            account,
        };
        self.change(|names| {
            if names.modules == refused.stamp.modules {
                names.enter(entry);
            }
        });
    }

    /// Returns the module that the helper for `name` was refused, if it ran `path` and that is
    /// remembered. `rules` is the number of the rules in force.
    ///
    /// Context: any but interrupts. Takes `names`.
    pub(crate) fn module_of(&self, name: &Name, path: &ModprobePath, rules: u64) -> Option<Name> {
        // ORDERING: Who does not see the newest name runs a helper for it, which is refused again.
        if self.is_empty.load(Relaxed) {
            return None;
        }
        let names = self.names.lock();
        let entry = names.entries.iter().find(|it| it.is_for(name, path))?;
        (entry.refused.stamp.rules == rules).then_some(entry.refused.module)
    }

    /// Changes the names, and keeps `is_empty` up to date.
    fn change(&self, f: impl FnOnce(&mut Names)) {
        let mut names = self.names.lock();
        f(&mut names);

        // INVARIANT: `names` is locked.
        self.is_empty.store(names.entries.is_empty(), Relaxed);
    }
}

impl Entry {
    fn is_for(&self, name: &Name, path: &ModprobePath) -> bool {
        is_same(&self.name, name) && self.path.as_cstr() == path.as_cstr()
    }
}

impl Names {
    /// Enters a name, in the place of what is known of it and, if there is no room, of another one.
    fn enter(&mut self, entry: Entry) {
        let known = |it: &Entry| it.is_for(&entry.name, &entry.path);

        if let Some(place) = self.entries.iter_mut().find(|it| known(it)) {
            // It stays on the account that it is on.
            place.refused = entry.refused;
            return;
        }
        if self.entries.len() == MAX_NAMES {
            let index = self.to_be_forgotten(entry.account);
            let _ = self.entries.remove(index);
        }
        // There is room: the vector was made for `MAX_NAMES`.
        let _ = self.entries.push_within_capacity(entry);
    }

    /// Returns the index of the oldest name on the account that has the most names, with the new
    /// one of `newcomer` counted; of several such accounts, on the one whose name is the oldest.
    ///
    /// So an account that has many names loses its own, and none of others.
    fn to_be_forgotten(&self, newcomer: Account) -> usize {
        let names_of = |account: Account| {
            let its = self.entries.iter().filter(|it| it.account == account);
            its.count() + usize::from(account == newcomer)
        };
        let mut most = 0;
        let mut found = 0;

        for (index, entry) in self.entries.iter().enumerate() {
            let names = names_of(entry.account);
            if names > most {
                (most, found) = (names, index);
            }
        }
        found
    }
}

/// Returns whether two names are the same to modprobe, which takes `-` and `_` for each other.
fn is_same(one: &Name, other: &Name) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    Iterator::eq(
        one.iter().copied().map(folded),
        other.iter().copied().map(folded),
    )
}

#[kunit_tests(kmod_rs_refusals)]
mod tests {
    use super::*;
    use crate::wrappers::private_symbols::PrivateSymbols;
    use kernel::str::CString;

    const USER: Account = Account::of_user(1000);
    const OTHER: Account = Account::of_user(1001);
    const RULES: u64 = 7;

    fn path() -> Result<ModprobePath> {
        ModprobePath::read(PrivateSymbols::find()?)
    }

    /// Notes that the helper for `name` was refused the module `m`.
    fn remember(refusals: &Refusals, name: &CStr, account: Account) -> Result {
        let refused = Refused {
            module: Name::new(c"m"),
            stamp: refusals.stamp(RULES),
        };
        refusals.remember(&Name::new(name), &path()?, refused, account);
        Ok(())
    }

    fn is_known(refusals: &Refusals, name: &CStr) -> Result<bool> {
        let module = refusals.module_of(&Name::new(name), &path()?, RULES);
        Ok(module == Some(Name::new(c"m")))
    }

    /// Remembers `count` names of an account that begin with `prefix`.
    fn fill(refusals: &Refusals, prefix: &str, count: usize, account: Account) -> Result {
        for i in 0..count {
            let name = CString::try_from_fmt(fmt!("{prefix}{i}"))?;
            remember(refusals, &name, account)?;
        }
        Ok(())
    }

    #[test]
    fn a_name_is_known_as_modprobe_knows_it() -> Result {
        let refusals = Refusals::new()?;
        assert!(!is_known(&refusals, c"a-b")?);
        remember(&refusals, c"a-b", USER)?;
        assert!(is_known(&refusals, c"a-b")?);
        assert!(is_known(&refusals, c"a_b")?);
        assert!(!is_known(&refusals, c"a-b-")?);
        assert!(!is_known(&refusals, c"a")?);
        Ok(())
    }

    #[test]
    fn it_is_forgotten_with_the_rules_and_the_modules() -> Result {
        let refusals = Refusals::new()?;
        remember(&refusals, c"a", USER)?;
        let (name, path) = (Name::new(c"a"), path()?);
        assert!(refusals.module_of(&name, &path, RULES).is_some());
        assert!(refusals.module_of(&name, &path, RULES + 1).is_none());

        let refused = Refused {
            module: name,
            stamp: refusals.stamp(RULES),
        };
        refusals.modules_changed();
        assert!(refusals.module_of(&name, &path, RULES).is_none());
        // The refusal was before the change, and the helper has ended after it.
        refusals.remember(&name, &path, refused, USER);
        assert!(refusals.module_of(&name, &path, RULES).is_none());
        Ok(())
    }

    #[test]
    fn the_last_ones_are_known() -> Result {
        let refusals = Refusals::new()?;
        fill(&refusals, "a", MAX_NAMES + 1, USER)?;
        assert!(!is_known(&refusals, c"a0")?);
        assert!(is_known(&refusals, c"a1")?);
        assert!(is_known(&refusals, c"a64")?);
        Ok(())
    }

    #[test]
    fn a_user_forgets_their_own_names() -> Result {
        let refusals = Refusals::new()?;
        fill(&refusals, "other", 2, OTHER)?;
        fill(&refusals, "a", 10 * MAX_NAMES, USER)?;
        assert!(is_known(&refusals, c"other0")?);
        assert!(is_known(&refusals, c"other1")?);
        assert!(is_known(&refusals, c"a639")?);
        // A newcomer takes the place of one of those who have many.
        fill(&refusals, "root", 1, Account::ROOT)?;
        assert!(is_known(&refusals, c"other0")?);
        assert!(is_known(&refusals, c"root0")?);
        Ok(())
    }

    #[test]
    fn a_name_is_entered_once() -> Result {
        let refusals = Refusals::new()?;
        fill(&refusals, "a", MAX_NAMES, USER)?;
        for _ in 0..MAX_NAMES {
            remember(&refusals, c"a5", OTHER)?;
        }
        assert!(is_known(&refusals, c"a0")?);
        Ok(())
    }
}
