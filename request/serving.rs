// SPDX-License-Identifier: GPL-2.0

//! What the steps of a request pass to one another.

use super::{
    chain::{
        Chain,
        Helper, //
    },
    lending::Claimed,
    sharing::Leader, //
};
use crate::{
    records::recorder::InFlight,
    usermode_helper::WaitStatus,
    wrappers::{
        module::OnStack,
        name::Name,
        requester::{
            LazyCgroup,
            Requester, //
        }, //
    }, //
};
use core::cell::Cell;
use kernel::prelude::*;

/// A request: the arguments of a call of `request_module()`.
pub(crate) struct Request {
    /// The formatted name; its beginning if it is too long.
    pub(crate) name: Name,
    /// Whether the name is too long.
    pub(crate) is_cut: bool,
    /// Whether the request waits for its helper to exit, or only for it to be started.
    pub(crate) wait: bool,
    /// The address that the call returns to.
    pub(crate) call_site: usize,
}

/// A request while it is served.
pub(crate) struct Serving<'a> {
    /// The request.
    pub(crate) request: &'a Request,
    /// The task that makes it.
    pub(crate) requester: &'a Requester,
    /// Its chain.
    pub(crate) chain: &'a Chain,
    /// The cgroup of the requester of the outermost request of the chain.
    pub(crate) cgroup: &'a LazyCgroup,
    /// Its record, if one is kept and there was memory for it.
    pub(crate) record: Option<&'a InFlight>,
    /// Whether its helper is to be told of it: the value of the knob when the request began.
    pub(crate) helper_env: bool,
    /// Whether the kernel's trace event has been fired for it.
    pub(crate) is_traced: Cell<bool>,
    /// Proof that the module is not unloaded while the request is served.
    pub(crate) on_stack: &'a OnStack<'a>,
}

/// Where the answer to a request comes from.
pub(crate) enum Source {
    /// From the leader's helper. This is the answer.
    Shared(Result<WaitStatus>),
    /// From a helper of its own, which runs in this slot. A leader also answers its followers.
    Own(Option<Leader>, Claimed<Helper>),
}
