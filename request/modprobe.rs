// SPDX-License-Identifier: GPL-2.0

//! The helper of one request, and what must be given back when it has ended.
//!
//! Mirrors `call_modprobe()` of `kernel/module/kmod.c`.

use super::{
    chain::Chain,
    deadline::Timeout,
    environment::Environment,
    helpers::Tracker,
    sharing::Leader,
    target::Target, //
};
use crate::{
    concurrency::Slot,
    records::recorder::InFlight,
    usermode_helper::{
        Command,
        WaitStatus, //
    },
    wrappers::requester::Requester, //
};
use kernel::prelude::*;

/// The environment of every helper, exactly.
const MODPROBE_ENV: [&CStr; 3] = [
    c"HOME=/",
    c"TERM=linux",
    c"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
];

/// The helper of one request.
///
/// Lives until the helper has exited, even if the requester is killed earlier: the slot is not free
/// while the helper runs.
pub(crate) struct Modprobe {
    /// The name that is asked for, and the program.
    pub(crate) target: Target,
    /// The chain of the request.
    pub(crate) chain: Chain,
    /// When the helper is killed, if it has a deadline.
    pub(crate) timeout: Option<Timeout>,
    /// The duty to answer the followers, if there may be any.
    pub(crate) leader: Option<Leader>,
    /// The place of the helper among those that run.
    pub(crate) tracker: Tracker,
    /// What the helper is told of the request, if the administrator wants that.
    pub(crate) environment: Option<Environment>,
    /// The record of the request, if there is one.
    pub(crate) record: Option<InFlight>,
    /// The slot that the helper takes.
    pub(crate) _slot: Slot,
}

impl Command for Modprobe {
    fn path(&self) -> &CStr {
        self.target.path()
    }

    fn args(&self) -> impl Iterator<Item = &CStr> {
        // Quiet, and no options from the name on.
        let name = self.target.name().as_cstr();
        [self.target.path(), c"-q", c"--", name].into_iter()
    }

    fn env(&self) -> impl Iterator<Item = &CStr> {
        let more = self.environment.iter().flat_map(Environment::strings);
        Iterator::chain(MODPROBE_ENV.into_iter(), more)
    }

    fn starting(&self) -> Result {
        let record = self.record.as_ref().map(|it| it.record().clone());
        self.tracker
            .start(*self.target.name(), &self.chain, record)?;
        if let Some(record) = &self.record {
            record.helper_started(Requester::current().tgid());
        }
        if let Some(timeout) = &self.timeout {
            timeout.start();
        }
        // The last step: from here on only the execution of the program can fail.
        if let Some(leader) = &self.leader {
            leader.started();
        }
        Ok(())
    }

    fn ended(mut this: KBox<Self>, result: Result<WaitStatus>) {
        if let Some(record) = &this.record {
            record.helper_ended(result);
        }
        if let Some(leader) = this.leader.take() {
            leader.tell(result);
        }
    }
}
