// SPDX-License-Identifier: GPL-2.0

//! Tells the threads that make ciphers of parts for whom they work.
//!
//! Has no counterpart in the C code. A task that needs `cbc(serpent)` makes a request for
//! `crypto-cbc(serpent)`. If there is no such module, the kernel starts the thread
//! `cryptomgr_probe`, which makes requests for the parts: `crypto-cbc`, `crypto-serpent`. Just
//! before that, the crypto API calls its notifiers, in the task that needs the cipher. What the
//! firewall decides then about that task goes to the thread: see wrappers/crypto.rs.

use crate::{
    firewall::{
        Firewall,
        RequesterView, //
    },
    request::helpers::Helpers,
    wrappers::{
        crypto::{
            Wanted,
            WatchAlgorithms, //
        },
        requester::Account, //
    }, //
};
use kernel::sync::Arc;

/// Has the firewall decide about each cipher that is about to be made of parts.
pub(crate) struct CipherWatcher {
    /// Who may have which module loaded.
    pub(crate) firewall: Arc<Firewall>,
    /// The helpers that run.
    pub(crate) helpers: Arc<Helpers>,
    /// Returns whether requests come to this module, so that the firewall decides about them.
    pub(crate) is_active: fn() -> bool,
}

impl WatchAlgorithms for CipherWatcher {
    fn wanted(&self, algorithm: &Wanted<'_>) {
        if !self.firewall.is_in_force() || !(self.is_active)() {
            return;
        }
        let chain = self.helpers.chain_of_current(Account::current());

        self.firewall.judge(
            algorithm,
            RequesterView {
                is_nested: chain.is_nested(),
                cgroup: &chain.cgroup(),
            },
        );
    }
}
