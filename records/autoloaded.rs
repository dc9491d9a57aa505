// SPDX-License-Identifier: GPL-2.0

//! The modules that are there because somebody asked for them.
//!
//! Has no counterpart in the C code. When a module has been initialised, the task that did it tells
//! which helper loaded it, and so which request wanted it; its dependencies come in the same way.

use crate::{
    records::{
        events,
        record::{
            Record,
            Seconds, //
        },
        recorder::Recorder, //
    },
    wrappers::{
        debugfs::Items,
        log::Quoted,
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
    /// When it was initialised, in nanoseconds since boot.
    time: i64,
    record: Arc<Record>,
    /// How many more requests there have been for what it was loaded for.
    asked_again: Atomic<u64>,
}

/// The modules that came from requests, and have not gone, in the order in which they came.
struct Table {
    modules: RBTree<u64, Arc<Autoload>>,
    /// The number of the next.
    next: u64,
}

impl Table {
    fn remove(&mut self, module: &Name) -> Option<Arc<Autoload>> {
        let (number, _) = self.modules.iter().find(|(_, it)| it.module == *module)?;
        let number = *number;

        self.modules.remove(&number)
    }
}

/// The modules that came from requests, and have not gone.
#[pin_data]
pub(crate) struct Autoloaded {
    recorder: Arc<Recorder>,
    #[pin]
    table: SpinLock<Table>,
}

impl Autoloaded {
    /// There are none yet.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(recorder: Arc<Recorder>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                recorder,
                table <- new_spinlock!(
                    Table {
                        modules: RBTree::new(),
                        next: 0,
                    },
                    "kmod_rs::Autoloaded::table"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Counts a request that has been answered, where it is for something that is there already.
    ///
    /// Context: any but interrupts. Takes time in proportion to the number of modules.
    pub(crate) fn asked(&self, record: &Record) {
        for it in self.table.lock().modules.values() {
            if it.record.name() == record.name() && it.record.seq() != record.seq() {
                it.asked_again.add(1, Relaxed);
            }
        }
    }

    /// A module has appeared because of a request.
    ///
    /// Context: may sleep.
    pub(crate) fn appeared(&self, module: Name, record: &Arc<Record>) {
        record.add_module(module);
        self.recorder.count_module();
        if events::enabled() {
            // Without memory there is no event; nor an item in the list, below.
            let _ = events::module_loaded(record, &module);
        }
        if self.recorder.keeps_records() {
            let _ = self.add(module, record);
        }
    }

    /// A module has gone.
    ///
    /// Context: may sleep.
    pub(crate) fn gone(&self, module: &Name) {
        let gone = self.table.lock().remove(module);
        // Not with the lock held.
        drop(gone);
    }

    fn add(&self, module: Name, record: &Arc<Record>) -> Result {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let it = Arc::new(
            Autoload {
                module,
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
        Ok(())
    }
}

/// The file `autoloaded`.
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

        seq_print!(
            to,
            "module={} t={} seq={} name={} pid={} comm={} uid={} call_site={} again={}\n",
            Quoted(it.module.as_cstr().to_bytes()),
            Seconds(it.time),
            it.record.seq(),
            Quoted(it.record.name().as_cstr().to_bytes()),
            requester.pid(),
            Quoted(requester.comm()),
            requester.uid(),
            Quoted(it.record.origin().call_site()),
            it.asked_again.load(Relaxed),
        );
    }
}
