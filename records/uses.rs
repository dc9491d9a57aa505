// SPDX-License-Identifier: GPL-2.0

//! When modules were last used.
//!
//! Has no counterpart in the C code. A reference count tells whether a module is in use at this
//! moment. With the knob `track_use` the kernel reports each use, so that it is known as well how long
//! nobody has used a module. This is only noted of modules that came from a request.

use crate::wrappers::module_use::{
    self,
    ModuleId,
    Registration,
    WatchUses, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

/// The number of buckets in the table, as a power of two.
const BUCKET_BITS: u32 = 6;

/// How many modules fit into a bucket.
const WAYS: usize = 4;

/// What stands in a place for no module.
const FREE: usize = 0;

/// A place in the table: a module and its uses. Each field is read and written by itself, so the
/// values of a place that is being filled may be those of two modules.
struct Place {
    /// [`ModuleId::number`], or [`FREE`].
    module: Atomic<usize>,
    /// How many references were taken.
    uses: Atomic<u64>,
    /// When the last reference was taken or put, in nanoseconds of CLOCK_MONOTONIC.
    last: Atomic<i64>,
}

impl Place {
    const fn new() -> Self {
        Self {
            module: Atomic::new(FREE),
            uses: Atomic::new(0),
            last: Atomic::new(0),
        }
    }

    /// Forgets uses. The module counts as used now.
    fn restart(&self, now: i64) {
        self.uses.store(0, Relaxed);
        self.last.store(now, Relaxed);
    }
}

/// The uses of modules, of at most [`WAYS`] in a bucket.
struct Table([[Place; WAYS]; 1 << BUCKET_BITS]);

impl Table {
    const fn new() -> Self {
        Self([const { [const { Place::new() }; WAYS] }; 1 << BUCKET_BITS])
    }

    /// Returns the places in which a module can be.
    fn bucket(&self, module: ModuleId) -> &[Place; WAYS] {
        /// GOLDEN_RATIO_64 in include/linux/hash.h.
        const RATIO: usize = 0x61c8_8646_80b5_83eb;

        &self.0[module.number().wrapping_mul(RATIO) >> (usize::BITS - BUCKET_BITS)]
    }

    fn find(&self, module: ModuleId) -> Option<&Place> {
        self.bucket(module)
            .iter()
            .find(|place| place.module.load(Relaxed) == module.number())
    }

    /// Enters a module, which is not in the table, and counts as used now. If its bucket is full,
    /// nothing is noted of it.
    ///
    /// Not for several tasks at once.
    fn enter(&self, module: ModuleId) {
        let free = |place: &&Place| place.module.load(Relaxed) == FREE;

        if let Some(place) = self.bucket(module).iter().find(free) {
            place.restart(module_use::now());
            place.module.store(module.number(), Relaxed);
        }
    }

    fn remove(&self, module: ModuleId) {
        if let Some(place) = self.find(module) {
            place.module.store(FREE, Relaxed);
        }
    }

    /// Forgets all uses.
    fn restart(&self) {
        let now = module_use::now();

        self.0.iter().flatten().for_each(|place| place.restart(now));
    }
}

impl WatchUses for Table {
    fn got(&self, module: ModuleId) {
        if let Some(place) = self.find(module) {
            place.uses.add(1, Relaxed);
            place.last.store(module_use::now(), Relaxed);
        }
    }

    fn put(&self, module: ModuleId) {
        if let Some(place) = self.find(module) {
            place.last.store(module_use::now(), Relaxed);
        }
    }
}

/// What is known of the uses of a module.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// How long nobody has taken or put a reference on it, in milliseconds; at most since it was
    /// entered, and since uses have been noted.
    pub(crate) idle_ms: i64,
    /// How many references were taken since then.
    pub(crate) uses: u64,
}

/// The uses of modules, as long as somebody wants to know.
#[pin_data]
pub(crate) struct Uses {
    table: Arc<Table>,
    /// There is one while uses are noted.
    #[pin]
    registration: Mutex<Option<Registration<Table>>>,
}

impl Uses {
    /// Creates an empty table. No uses are noted.
    ///
    /// Returns [`ENOMEM`] if there is no memory for it.
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let table = Arc::new(Table::new(), GFP_KERNEL)?;

        Arc::pin_init(
            pin_init!(Self {
                table,
                registration <- new_mutex!(None, "kmod_rs::Uses::registration"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns whether uses are noted.
    ///
    /// Context: may sleep; takes a mutex.
    pub(crate) fn are_noted(&self) -> bool {
        self.registration.lock().is_some()
    }

    /// Begins to note uses, or ends that.
    ///
    /// When this returns after ending it, no code of the module runs for a use any more.
    ///
    /// Returns the errors of [`Registration::new`].
    ///
    /// Context: may sleep; takes a mutex, and waits for a grace period of the tracepoints.
    pub(crate) fn note(&self, wanted: bool) -> Result {
        let mut registration = self.registration.lock();

        if !wanted {
            *registration = None;
        } else if registration.is_none() {
            self.table.restart();
            *registration = Some(Registration::new(self.table.clone())?);
        }
        Ok(())
    }

    /// Returns what is known of the uses of a module, or `None` if nothing is: uses are not noted, or
    /// it was not entered or had no place in the table.
    ///
    /// Context: may sleep; takes a mutex.
    pub(crate) fn of(&self, module: ModuleId) -> Option<Use> {
        if !self.are_noted() {
            return None;
        }
        let place = self.table.find(module)?;
        Some(Use {
            idle_ms: (module_use::now() - place.last.load(Relaxed)).max(0) / 1_000_000,
            uses: place.uses.load(Relaxed),
        })
    }

    /// Enters a module that is live. The caller sees to it that no two tasks do this at once.
    ///
    /// Context: any.
    pub(super) fn enter(&self, module: ModuleId) {
        self.table.enter(module);
    }

    /// Removes a module, if it was entered.
    ///
    /// Context: any.
    pub(super) fn remove(&self, module: ModuleId) {
        self.table.remove(module);
    }
}

/// Ends noting uses when it is dropped.
pub(crate) struct Stop(pub(crate) Arc<Uses>);

impl Drop for Stop {
    fn drop(&mut self) {
        // It can only fail to begin.
        let _ = self.0.note(false);
    }
}

#[kunit_tests(kmod_rs_uses)]
mod tests {
    use super::*;

    /// Returns the IDs of `N` modules in the same bucket.
    fn neighbours<const N: usize>(table: &Table) -> Result<[ModuleId; N]> {
        let first = ModuleId::of(0x1000 as *mut _).ok_or(EINVAL)?;
        let mut found = [first; N];
        let mut address = 0x1000;
        for place in &mut found[1..] {
            loop {
                address += 0x40;
                let other = ModuleId::of(address as *mut _).ok_or(EINVAL)?;
                if core::ptr::eq(table.bucket(other), table.bucket(first)) {
                    *place = other;
                    break;
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn uses_of_a_module_that_was_entered_are_noted() -> Result {
        let table = KBox::new(Table::new(), GFP_KERNEL)?;
        let [module, other] = neighbours(&table)?;

        table.got(module);
        assert!(table.find(module).is_none());
        table.enter(module);
        table.enter(other);
        table.got(module);
        table.got(module);
        table.put(module);
        let uses = |module| table.find(module).map(|place| place.uses.load(Relaxed));
        assert_eq!(uses(module), Some(2));
        assert_eq!(uses(other), Some(0));
        table.remove(module);
        assert_eq!(uses(module), None);
        assert_eq!(uses(other), Some(0));
        // Its place is free, and as new.
        table.enter(module);
        assert_eq!(uses(module), Some(0));
        Ok(())
    }

    #[test]
    fn a_use_is_noted_with_its_time() -> Result {
        let table = KBox::new(Table::new(), GFP_KERNEL)?;
        let [module] = neighbours(&table)?;

        table.enter(module);
        let place = table.find(module).ok_or(EINVAL)?;
        for used in [Table::got, Table::put] {
            place.last.store(0, Relaxed);
            used(&table, module);
            assert!(place.last.load(Relaxed) > 0);
        }
        Ok(())
    }

    #[test]
    fn of_one_too_many_nothing_is_noted() -> Result {
        let table = KBox::new(Table::new(), GFP_KERNEL)?;
        let modules: [_; WAYS + 1] = neighbours(&table)?;

        modules.iter().for_each(|module| table.enter(*module));
        assert!(modules[..WAYS]
            .iter()
            .all(|module| table.find(*module).is_some()));
        assert!(table.find(modules[WAYS]).is_none());
        table.got(modules[WAYS]);
        table.remove(modules[WAYS]);
        assert!(modules[..WAYS]
            .iter()
            .all(|module| table.find(*module).is_some()));
        Ok(())
    }
}
