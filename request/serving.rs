// SPDX-License-Identifier: GPL-2.0

//! What the steps of a request hand to one another.

use super::{
    chain::Chain,
    sharing::Leader, //
};
use crate::{
    records::recorder::InFlight,
    usermode_helper::WaitStatus,
    wrappers::{
        module::OnStack,
        name::Name,
        requester::Requester, //
    }, //
};
use core::cell::Cell;
use kernel::prelude::*;

/// What a caller of `request_module()` asks for.
pub(crate) struct Request<'a> {
    /// The name, already formatted.
    pub(crate) name: Name,
    /// Whether that is only the beginning, as it is too long.
    pub(crate) is_cut: bool,
    /// The name, or a longer part of it.
    pub(crate) whole_name: &'a CStr,
    /// Whether the caller waits for the helper to exit, or only for it to be started.
    pub(crate) wait: bool,
    /// The address in the caller.
    pub(crate) call_site: usize,
}

/// A request while it is served.
pub(crate) struct Serving<'a> {
    /// What is asked for.
    pub(crate) request: &'a Request<'a>,
    /// Who asks.
    pub(crate) requester: &'a Requester,
    /// The helpers that the request descends from.
    pub(crate) chain: &'a Chain,
    /// Its record, if anybody wants it and there was memory.
    pub(crate) record: Option<&'a InFlight>,
    /// Whether the helper is to be told of the request, as the administrator had set it when the
    /// request began.
    pub(crate) helper_env: bool,
    /// Whether the kernel's trace event has been fired.
    pub(crate) is_traced: Cell<bool>,
    /// Proof that the module is not unloaded meanwhile.
    pub(crate) on_stack: &'a OnStack<'a>,
}

/// Whose answer a request gets.
pub(crate) enum Source {
    /// That of another's helper.
    Shared(Result<WaitStatus>),
    /// That of its own helper; as a leader, it passes the answer on.
    Own(Option<Leader>),
}
