// SPDX-License-Identifier: GPL-2.0

//! `request_module()` in Rust, on a running kernel.
//!
//! The module takes `__request_module()` over when it is loaded and gives it back before it is
//! unloaded. README.md says how to use it and Documentation/design.rst how it works; request.rs is
//! the path of a request.

mod check;
mod chosen_names;
mod concurrency;
mod firewall;
mod livepatch;
mod log_limits;
mod records;
mod request;
mod sysctl;
mod usermode_helper;
mod wrappers;

use crate::{
    check::Check,
    concurrency::Slots,
    firewall::{
        parameters::{
            self,
            Parameters, //
        },
        Firewall, //
    },
    livepatch::Livepatch,
    log_limits::{
        LogLimits,
        Reports, //
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
        uses::{
            self,
            Uses, //
        },
        Records, //
    },
    request::{
        answers::{
            self,
            Answers, //
        },
        cipher_watcher::CipherWatcher,
        helpers::Helpers,
        module_watcher::ModuleWatcher,
        refusals::Refusals,
        settings::Settings,
        sharing::Sharing,
        suspend_watcher::SuspendWatcher,
        unloads::Unloads,
        Kmod,
        Parts,
        Unwaiting, //
    },
    sysctl::Knobs,
    wrappers::{
        crypto,
        debugfs,
        notifier,
        private_symbols::PrivateSymbols,
        proc_file,
        text_parameters, //
    }, //
};
use core::borrow::Borrow;
use kernel::{
    prelude::*,
    sync::Arc, //
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
        autoload_mode: u32 {
            default: 0,
            description: "Who may have modules loaded: 0 everybody, 1 privileged, 2 nobody",
        },
        autoload_enforce: u32 {
            default: 1,
            description: "Whether the rules are enforced (1) or denials are only noted (0)",
        },
    },
}

/// The module, from the end of init to exit. Its fields are dropped from top to bottom.
#[pin_data]
struct KmodRs {
    #[pin]
    _knobs: Knobs,
    #[pin]
    _check: proc_file::File<Check>,
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
    _answers: debugfs::File<answers::List>,
    #[pin]
    _watcher: notifier::Registration<notifier::Modules<ModuleWatcher>>,
    _uses: uses::Stop,
    #[pin]
    _suspend_watcher: notifier::Registration<notifier::Suspend<SuspendWatcher>>,
    #[pin]
    _cipher_watcher: notifier::Registration<crypto::Algorithms<CipherWatcher>>,
    _livepatch: Livepatch,
    _reports: Reports,
    _directory: Arc<debugfs::Directory>,
}

impl kernel::InPlaceModule for KmodRs {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let symbols = PrivateSymbols::find().inspect_err(|_| {
            pr_err!(
                "built without \"objtool klp post-link\": build it with this project's Makefile\n"
            );
        });
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL);
        let settings = Arc::new(Settings::new(), GFP_KERNEL);
        let log = LogLimits::new();
        let firewall = || {
            let parameters = Parameters {
                mode: *Borrow::<u32>::borrow(&module_parameters::autoload_mode.value()),
                enforce: *Borrow::<u32>::borrow(&module_parameters::autoload_enforce.value()),
                allow: text_parameters::autoload_allow()?,
                deny: text_parameters::autoload_deny()?,
            };
            let rules = parameters.rules()?;
            parameters::log_at_load(&rules)?;
            Firewall::new(rules, log.clone()?, symbols?)
        };
        let firewall = firewall();
        let helpers = Helpers::new();
        let unloads = symbols.and_then(Unloads::new);
        let refusals = Refusals::new();
        // 7.2 gives a reference, 7.3 the value.
        let recorder = Recorder::new(*Borrow::<u32>::borrow(&module_parameters::records.value()));
        let unwaiting =
            || Unwaiting::new(slots.clone()?, symbols?, recorder.clone()?.kept().clone());
        let unwaiting = unwaiting();
        let sharing =
            || Arc::pin_init(Sharing::new(slots.clone()?, unwaiting.clone()?), GFP_KERNEL);
        let sharing = sharing();
        let uses = Uses::new();
        let answers = || Answers::new(recorder.clone()?.remembered().clone());
        let answers = answers();
        let autoloaded = || Autoloaded::new(recorder.clone()?, uses.clone()?);
        let autoloaded = autoloaded();
        let directory = Arc::new(debugfs::Directory::new(c"kmod_rs"), GFP_KERNEL);

        let kmod = || {
            Kmod::new(Parts {
                settings: settings.clone()?,
                firewall: firewall.clone()?,
                sharing: sharing.clone()?,
                unwaiting: unwaiting.clone()?,
                helpers: helpers.clone()?,
                records: Records::new(recorder.clone()?, autoloaded.clone()?),
                unloads: unloads.clone()?,
                refusals: refusals.clone()?,
                answers: answers.clone()?,
                log: log.clone()?,
                symbols: symbols?,
            })
        };
        let kmod = kmod();

        // Initialised from top to bottom.
        try_pin_init!(Self {
            _knobs <- Knobs::new(sysctl::State {
                slots: slots?,
                unwaiting: unwaiting.clone()?,
                settings: settings.clone()?,
                answers: answers.clone()?,
                uses: uses.clone()?,
                firewall: firewall.clone()?,
            }),
            _check <- proc_file::File::new(Check {
                firewall: firewall.clone()?,
                refusals: refusals.clone()?,
                helpers: helpers.clone()?,
                settings: settings?,
                symbols: symbols?,
            }),
            _recent <- debugfs::File::new(directory.clone()?, recorder::Recent(recorder.clone()?)),
            _inflight <-
                debugfs::File::new(directory.clone()?, recorder::Inflight(recorder.clone()?)),
            _stats <- debugfs::File::new(directory.clone()?, recorder::Stats(recorder.clone()?)),
            _latency <- debugfs::File::new(directory.clone()?, recorder::Latency(recorder.clone()?)),
            _autoloaded <-
                debugfs::File::new(directory.clone()?, autoloaded::List(autoloaded.clone()?)),
            _answers <- debugfs::File::new(directory.clone()?, answers::List(answers.clone()?)),
            _watcher <- notifier::Registration::new(notifier::Modules(ModuleWatcher {
                helpers: helpers.clone()?,
                firewall: firewall.clone()?,
                refusals: refusals?,
                autoloaded: autoloaded?,
                call_sites: recorder?.call_sites().clone(),
                unloads: unloads?,
                answers: answers.clone()?,
            })),
            _uses: uses::Stop(uses?),
            _suspend_watcher <- notifier::Registration::new(notifier::Suspend(SuspendWatcher {
                sharing: sharing?,
                unwaiting: unwaiting?,
                answers: answers?,
            })),
            _cipher_watcher <- notifier::Registration::new(crypto::Algorithms(CipherWatcher {
                firewall: firewall?,
                helpers: helpers?,
                is_active: livepatch::is_active,
            })),
            _directory: directory?,
            _reports: Reports(log?),
            // Requests arrive before this returns, and need all of the above.
            //
            // SAFETY: This is the last step of init.
            _livepatch: unsafe { Livepatch::enable(kmod?) }?,
        }? Error)
    }
}
