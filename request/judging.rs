// SPDX-License-Identifier: GPL-2.0

//! What the rules say of a request, and why.
//!
//! Has no counterpart in the C code. The firewall decides on the name and, if that is allowed, on
//! the module that the name is known to bring. Nothing is changed, logged or counted here: that is
//! what the path of a request does with the answer. Who only asks (check.rs) gets the same answer.

use super::refusals::Refusals;
use crate::{
    firewall::{
        policy::{
            Ruling,
            Services,
            Verdict, //
        },
        Checked,
        Firewall,
        RequesterView, //
    },
    wrappers::{
        modprobe_path::ModprobePath,
        name::Name, //
    }, //
};

/// Who judges requests.
pub(crate) struct Judge<'a> {
    /// Who may have which module loaded.
    pub(crate) firewall: &'a Firewall,
    /// What is known of modules that were refused.
    pub(crate) refusals: &'a Refusals,
}

/// What the rules say of a request.
pub(crate) struct Judgement {
    /// What becomes of it, and why.
    pub(crate) verdict: Verdict,
    /// The module that the verdict is on, by its own name; [`None`] if it is on the name of the
    /// request.
    pub(crate) module: Option<Name>,
    /// Which entries are for its requester: requests share a helper only if this is equal.
    pub(crate) services: Services,
}

impl Judge<'_> {
    /// Judges a request for `name` that the current task makes, or could make.
    ///
    /// `path` is that of the program that its helper would run, and `helper_env` whether that would
    /// be told of the request. Returns `None` if the rules cannot deny anything.
    ///
    /// Context: with a task; may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn judge(
        &self,
        name: &Name,
        view: RequesterView<'_>,
        path: &ModprobePath,
        helper_env: bool,
    ) -> Option<Judgement> {
        let Checked { verdict, services } = self.firewall.check(name, view)?;
        let refusal = match verdict.ruling {
            // A helper that is told of its request may decide by the requester.
            Ruling::Allowed if !helper_env => self.known_refusal(name, view, path),
            _ => None,
        };
        let (module, by_module) = refusal.unzip();

        Some(Judgement {
            verdict: by_module.unwrap_or(verdict),
            module,
            services,
        })
    }

    /// Returns the module that a helper for this name was refused before, and the verdict on it, if
    /// it would be refused again.
    #[inline(never)]
    fn known_refusal(
        &self,
        name: &Name,
        view: RequesterView<'_>,
        path: &ModprobePath,
    ) -> Option<(Name, Verdict)> {
        let rules = self.firewall.revision();
        let module = self.refusals.module_of(name, path, rules)?;
        let verdict = self.firewall.check_module(&module, view.cgroup)?;
        Some((module, verdict))
    }
}
