// SPDX-License-Identifier: GPL-2.0

//! `request_module()` in Rust, on a running kernel.
//!
//! The module takes `__request_module()` over when it is loaded and gives it back before it is
//! unloaded. See README.md for how to use it, Documentation/design.rst for how it is made, and
//! request.rs for what it does.

mod concurrency;
mod firewall;
mod livepatch;
mod records;
mod request;
mod usermode_helper;
mod wrappers;

use crate::{
    concurrency::Slots,
    firewall::{
        AutoloadAllow,
        AutoloadDeny,
        AutoloadEnforce,
        AutoloadLock,
        AutoloadMode,
        AutoloadSystemUids,
        Firewall, //
    },
    livepatch::{
        Active,
        Livepatch, //
    },
    records::{
        autoloaded::{
            self,
            Autoloaded, //
        },
        recorder::{
            self,
            Recorder, //
        },
        Records, //
    },
    request::{
        chain,
        helpers::Helpers,
        module_watcher::ModuleWatcher,
        settings::Settings,
        Kmod, //
    },
    wrappers::{
        debugfs,
        notifier,
        private_symbols::PrivateSymbols,
        requester,
        sysctl, //
    }, //
};
use core::borrow::Borrow;
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

module! {
    type: KmodRs,
    name: "kmod_rs",
    authors: ["The kmod_rs authors"],
    description: "request_module() in Rust",
    license: "GPL",
    params: {
        records: u32 {
            default: 256,
            description: "How many requests are remembered, 0 to 65536",
        },
    },
}

/// The module, from the end of init to exit. Dropped from top to bottom.
#[pin_data(PinnedDrop)]
struct KmodRs {
    #[pin]
    _active: sysctl::Registration<Active>,
    #[pin]
    _kmod_limit: sysctl::Registration<KmodLimit>,
    #[pin]
    _busy_timeout_ms: sysctl::Registration<BusyTimeoutMs>,
    #[pin]
    _helper_timeout_ms: sysctl::Registration<HelperTimeoutMs>,
    #[pin]
    _loop_repeats: sysctl::Registration<LoopRepeats>,
    #[pin]
    _chain_limit: sysctl::Registration<ChainLimit>,
    #[pin]
    _coalesce: sysctl::Registration<Coalesce>,
    #[pin]
    _coalesce_timeout_ms: sysctl::Registration<CoalesceTimeoutMs>,
    #[pin]
    _autoload_mode: sysctl::Registration<AutoloadMode>,
    #[pin]
    _autoload_allow: sysctl::Registration<AutoloadAllow>,
    #[pin]
    _autoload_deny: sysctl::Registration<AutoloadDeny>,
    #[pin]
    _autoload_system_uids: sysctl::Registration<AutoloadSystemUids>,
    #[pin]
    _autoload_enforce: sysctl::Registration<AutoloadEnforce>,
    #[pin]
    _autoload_lock: sysctl::Registration<AutoloadLock>,
    #[pin]
    _recent: debugfs::File<recorder::Recent>,
    #[pin]
    _inflight: debugfs::File<recorder::Inflight>,
    #[pin]
    _stats: debugfs::File<recorder::Stats>,
    #[pin]
    _latency: debugfs::File<recorder::Latency>,
    #[pin]
    _autoloaded: debugfs::File<autoloaded::List>,
    #[pin]
    _watcher: notifier::Registration<ModuleWatcher>,
    #[pin]
    _helper_env: sysctl::Registration<HelperEnv>,
    #[pin]
    _log_requests: sysctl::Registration<LogRequests>,
    _livepatch: Livepatch,
    _directory: Arc<debugfs::Directory>,
}

impl kernel::InPlaceModule for KmodRs {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // Made from top to bottom. Requests arrive while the last is being made, and by then need
        // all the others.
        let symbols = PrivateSymbols::find().inspect_err(|_| {
            pr_err!(
                "built without \"objtool klp post-link\": build it with this project's Makefile\n"
            );
        });
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL);
        let settings = Arc::new(Settings::new(), GFP_KERNEL);
        let firewall = symbols.and_then(Firewall::new);
        let helpers = Helpers::new();
        // 7.2 gives a reference, 7.3 the value.
        let recorder = Recorder::new(*Borrow::<u32>::borrow(&module_parameters::records.value()));
        let autoloaded = recorder.clone().and_then(Autoloaded::new);
        let directory = Arc::new(debugfs::Directory::new(c"kmod_rs"), GFP_KERNEL);

        try_pin_init!(Self {
            _active <- sysctl::Registration::new(Active),
            _kmod_limit <- sysctl::Registration::new(KmodLimit(slots.clone()?)),
            _busy_timeout_ms <- sysctl::Registration::new(BusyTimeoutMs(slots.clone()?)),
            _helper_timeout_ms <- sysctl::Registration::new(HelperTimeoutMs(settings.clone()?)),
            _loop_repeats <- sysctl::Registration::new(LoopRepeats(settings.clone()?)),
            _chain_limit <- sysctl::Registration::new(ChainLimit(settings.clone()?)),
            _coalesce <- sysctl::Registration::new(Coalesce(settings.clone()?)),
            _coalesce_timeout_ms <- sysctl::Registration::new(CoalesceTimeoutMs(settings.clone()?)),
            _helper_env <- sysctl::Registration::new(HelperEnv(settings.clone()?)),
            _log_requests <- sysctl::Registration::new(LogRequests(settings.clone()?)),
            _autoload_mode <- sysctl::Registration::new(AutoloadMode(firewall.clone()?)),
            _autoload_allow <- sysctl::Registration::text(AutoloadAllow(firewall.clone()?)),
            _autoload_deny <- sysctl::Registration::text(AutoloadDeny(firewall.clone()?)),
            _autoload_system_uids <- sysctl::Registration::new(AutoloadSystemUids(firewall.clone()?)),
            _autoload_enforce <- sysctl::Registration::new(AutoloadEnforce(firewall.clone()?)),
            _autoload_lock <- sysctl::Registration::new(AutoloadLock(firewall.clone()?)),
            _watcher <- notifier::Registration::new(ModuleWatcher {
                helpers: helpers.clone()?,
                autoloaded: autoloaded.clone()?,
            }),
            _directory: directory.clone()?,
            // Nothing may fail from here on, so all that the files are made of is there by now.
            _livepatch: Livepatch::enable(Kmod::new(
                settings?,
                firewall?,
                slots?,
                helpers?,
                Records::new(recorder.clone()?, autoloaded.clone()?),
                symbols?,
            )?)?,
            // Whoever has one of these open pins the module, once there is one.
            _recent <- debugfs::File::new(directory.clone()?, recorder::Recent(recorder.clone()?)),
            _inflight <- debugfs::File::new(directory.clone()?, recorder::Inflight(recorder.clone()?)),
            _stats <- debugfs::File::new(directory.clone()?, recorder::Stats(recorder.clone()?)),
            _latency <- debugfs::File::new(directory.clone()?, recorder::Latency(recorder?)),
            _autoloaded <- debugfs::File::new(directory?, autoloaded::List(autoloaded?)),
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for KmodRs {
    fn drop(self: Pin<&mut Self>) {
        // No helper is in flight: each had a reference on the module. The last may have given its
        // own back a moment ago and be on its way out of this module's text.
        usermode_helper::wait_for_callbacks();
    }
}

/// The file `kmod-limit`: MAX_KMOD_CONCURRENT.
struct KmodLimit(Arc<Slots>);

impl sysctl::Uint for KmodLimit {
    const DIRECTORY: &'static CStr = c"kernel";
    const NAME: &'static CStr = c"kmod-limit";
    const MIN: u32 = 1;
    const MAX: u32 = 1000;

    fn get(&self) -> u32 {
        self.0.limit()
    }

    fn may_write(&self) -> Result {
        requester::may_configure()
    }

    fn set(&self, limit: u32) -> Result {
        self.0.set_limit(limit);
        Ok(())
    }
}

/// The file `kmod_rs/busy_timeout_ms`: how long a request waits while the queue stands still.
struct BusyTimeoutMs(Arc<Slots>);

impl sysctl::Uint for BusyTimeoutMs {
    const DIRECTORY: &'static CStr = c"kernel/kmod_rs";
    const NAME: &'static CStr = c"busy_timeout_ms";
    const MIN: u32 = 1;
    const MAX: u32 = 3_600_000;

    fn get(&self) -> u32 {
        self.0.busy_timeout_ms()
    }

    fn set(&self, timeout: u32) -> Result {
        self.0.set_busy_timeout_ms(timeout);
        Ok(())
    }
}

/// Defines a file in `kmod_rs` that shows a field of [`Settings`].
macro_rules! setting {
    ($(#[doc = $doc:literal])+ $type:ident, $name:literal, $min:literal..=$max:expr, $($field:ident).+) => {
        $(#[doc = $doc])+
        struct $type(Arc<Settings>);

        impl sysctl::Uint for $type {
            const DIRECTORY: &'static CStr = c"kernel/kmod_rs";
            const NAME: &'static CStr = $name;
            const MIN: u32 = $min;
            const MAX: u32 = $max;

            fn get(&self) -> u32 {
                self.0.$($field).+.load(Relaxed)
            }

            fn set(&self, value: u32) -> Result {
                self.0.$($field).+.store(value, Relaxed);
                Ok(())
            }
        }
    };
}

setting! {
    /// The file `kmod_rs/helper_timeout_ms`: how long a helper may run before it is killed.
    HelperTimeoutMs, c"helper_timeout_ms", 0..=3_600_000, helper_timeout_ms
}

setting! {
    /// The file `kmod_rs/loop_repeats`: how many helpers for one name may run in a chain.
    LoopRepeats, c"loop_repeats", 1..=1000, limits.loop_repeats
}

setting! {
    /// The file `kmod_rs/chain_limit`: how many helpers a chain may have.
    ChainLimit, c"chain_limit", 1..=chain::MAX_CHAIN, limits.chain_limit
}

setting! {
    /// The file `kmod_rs/coalesce`: whether equal requests share one helper.
    Coalesce, c"coalesce", 0..=1, coalesce
}

setting! {
    /// The file `kmod_rs/coalesce_timeout_ms`: how long one waits for another's helper.
    CoalesceTimeoutMs, c"coalesce_timeout_ms", 1..=3_600_000, coalesce_timeout_ms
}

setting! {
    /// The file `kmod_rs/helper_env`: whether the helper is told of its request.
    HelperEnv, c"helper_env", 0..=1, helper_env
}

setting! {
    /// The file `kmod_rs/log_requests`: which requests are written to the log.
    LogRequests, c"log_requests", 0..=2, log_requests
}
