// SPDX-License-Identifier: GPL-2.0

//! The live modules that came from a request.
//!
//! Has no counterpart in the C code. The kernel reports a module in the task that has initialised
//! it. That task tells which helper loaded the module, and so which request it came from. The
//! dependencies of the module are found in the same way.

use crate::{
    firewall::policy::{
        Ruling,
        Verdict, //
    },
    records::{
        events,
        record::{
            Record,
            Seconds, //
        },
        recorder::Recorder,
        uses::Uses, //
    },
    wrappers::{
        debugfs::Items,
        log::{
            Known,
            Quoted, //
        },
        module_use::ModuleId,
        name::Name, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        SpinLock, //
    },
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

/// A module that came from a request.
pub(crate) struct Autoload {
    module: Name,
    id: ModuleId,
    /// When it was entered into the table, in nanoseconds of CLOCK_MONOTONIC.
    time: i64,
    record: Arc<Record>,
    /// How many other requests for the same name have returned since then.
    asked_again: Atomic<u64>,
}

/// The modules by number, in the order in which they appeared.
struct LiveModules {
    modules: RBTree<u64, Arc<Autoload>>,
    /// The number of the next module. It only grows, so a number is never used again.
    next: u64,
}

impl LiveModules {
    fn remove(&mut self, id: ModuleId) -> Option<Arc<Autoload>> {
        let (number, _) = self.modules.iter().find(|(_, it)| it.id == id)?;
        let number = *number;

        self.modules.remove(&number)
    }
}

/// The table of the live modules that came from a request.
#[pin_data]
pub(crate) struct Autoloaded {
    recorder: Arc<Recorder>,
    uses: Arc<Uses>,
    #[pin]
    table: SpinLock<LiveModules>,
}

impl Autoloaded {
    /// Creates an empty table.
    ///
    /// Returns [`ENOMEM`] if there is no memory for it.
    ///
    /// Context: may sleep.
    pub(crate) fn new(recorder: Arc<Recorder>, uses: Arc<Uses>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                recorder,
                uses,
                table <- new_spinlock!(
                    LiveModules {
                        modules: RBTree::new(),
                        next: 0,
                    },
                    "kmod_rs::Autoloaded::table"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Counts a request that returns, in each module that came from another request for the same
    /// name.
    ///
    /// Context: not in an interrupt; takes a spinlock. The time is proportional to the number of
    /// modules in the table.
    pub(crate) fn asked(&self, record: &Record) {
        for it in self.table.lock().modules.values() {
            if it.record.name() == record.name() && it.record.seq() != record.seq() {
                it.asked_again.add(1, Relaxed);
            }
        }
    }

    /// Enters a module that has appeared because of a request.
    ///
    /// Context: may sleep.
    pub(crate) fn appeared(&self, module: Name, id: ModuleId, record: &Arc<Record>) {
        record.add_module(module);
        self.recorder.count_module();
        if events::enabled() {
            // If there is no memory, the event is left out, and so is the entry in the table below.
            let _ = events::module_loaded(record, &module);
        }
        if self.recorder.keeps_records() {
            let _ = self.add(module, id, record);
        }
    }

    /// Notes that the firewall refuses a helper a module, or would. `record` is that of the helper's
    /// request.
    ///
    /// Context: may sleep.
    pub(crate) fn judged(&self, module: Name, record: Option<&Arc<Record>>, verdict: Verdict) {
        self.recorder.count_module_verdict(verdict);
        let Some(record) = record else {
            return;
        };
        record.module_judged(module, verdict);
        if verdict.ruling == Ruling::Denied && events::enabled() {
            // If there is no memory, the event is left out.
            let _ = events::module_denied(record, &module, verdict);
        }
    }

    /// Removes a module that is unloaded, or that could not be initialised.
    ///
    /// Context: may sleep.
    pub(crate) fn gone(&self, id: ModuleId) {
        let mut table = self.table.lock();
        let gone = table.remove(id);
        self.uses.remove(id);
        drop(table);
        // Only now, without the lock: this may free a record.
        drop(gone);
    }

    fn add(&self, module: Name, id: ModuleId, record: &Arc<Record>) -> Result {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let it = Arc::new(
            Autoload {
                module,
                id,
                time: Monotonic::ktime_get(),
                record: record.clone(),
                asked_again: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;

        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        table.modules.insert(place.into_node(number, it));
        self.uses.enter(id);
        Ok(())
    }
}

/// The file `autoloaded`: one line for each module in the table.
pub(crate) struct List(pub(crate) Arc<Autoloaded>);

impl Items for List {
    type Item = Arc<Autoload>;

    const NAME: &'static CStr = c"autoloaded";

    fn find(&self, position: u64) -> Result<Option<(u64, Arc<Autoload>)>> {
        let table = self.0.table.lock();
        let cursor = table.modules.cursor_lower_bound(&position);

        Ok(cursor.map(|cursor| {
            let (number, it) = cursor.current();
            (*number, it.clone())
        }))
    }

    fn show(&self, it: ArcBorrow<'_, Autoload>, to: &SeqFile) {
        let requester = it.record.requester();
        let used = self.0.uses.of(it.id);

        seq_print!(
            to,
            "module={} t={} seq={} name={} pid={} comm={} uid={} call_site={} again={} idle_ms={} uses={}\n",
            Quoted(it.module.as_bytes()),
            Seconds(it.time),
            it.record.seq(),
            Quoted(it.record.name().as_bytes()),
            requester.pid(),
            Quoted(requester.comm()),
            requester.uid(),
            Quoted(it.record.call_site()),
            it.asked_again.load(Relaxed),
            Known(used.map(|used| used.idle_ms)),
            Known(used.map(|used| used.uses)),
        );
    }
}
