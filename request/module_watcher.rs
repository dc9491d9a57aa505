// SPDX-License-Identifier: GPL-2.0

//! Finds the request that a module is loaded for.
//!
//! Has no counterpart in the C code. The kernel calls a module notifier in the task that loads the
//! module: before the first code of the module runs, and when it has been initialised. If this task
//! is a helper, or descends from one, the module is loaded for the request of the closest such
//! helper, and the firewall may refuse it. Unloads are counted, see unloads.rs.

use crate::{
    firewall::{
        policy::Ruling,
        Firewall, //
    },
    records::{
        autoloaded::Autoloaded,
        call_sites::CallSites, //
    },
    request::{
        answers::Answers,
        chain::Helper,
        helpers::Helpers,
        refusals::{
            Refusals,
            Refused, //
        },
        unloads::Unloads, //
    },
    wrappers::{
        module_use::ModuleId,
        name::Name,
        notifier::WatchModules, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Has the firewall decide on modules that helpers load. Enters modules into the table of autoloaded
/// modules as they appear, and removes them as they go.
pub(crate) struct ModuleWatcher {
    /// The helpers.
    pub(crate) helpers: Arc<Helpers>,
    /// Who may have which module loaded.
    pub(crate) firewall: Arc<Firewall>,
    /// What is known of modules that were refused.
    pub(crate) refusals: Arc<Refusals>,
    /// The table of autoloaded modules.
    pub(crate) autoloaded: Arc<Autoloaded>,
    /// The places that requests come from.
    pub(crate) call_sites: Arc<CallSites>,
    /// What is known of unloads.
    pub(crate) unloads: Arc<Unloads>,
    /// The remembered answers.
    pub(crate) answers: Arc<Answers>,
}

impl ModuleWatcher {
    /// Decides on a module that a helper, or a descendant of it, is about to load.
    ///
    /// Returns [`EPERM`] if the firewall refuses it.
    fn check(&self, helper: &Helper, module: Name) -> Result {
        // Before the decision: the rules may be replaced meanwhile.
        let stamp = self.refusals.stamp(self.firewall.revision());

        if let Some(verdict) = self.firewall.check_module(&module, &helper.cgroup()) {
            self.firewall.report(
                verdict,
                helper.name(),
                helper.requester(),
                helper.account(),
                Some(&module),
            );
            self.autoloaded.judged(module, helper.record(), verdict);
            if verdict.ruling == Ruling::Denied {
                helper.note_refused(Refused { module, stamp });
                self.refusals.refuse();
                return Err(EPERM);
            }
        }
        helper.note_not_refused();
        Ok(())
    }
}

impl WatchModules for ModuleWatcher {
    fn coming(&self, name: &CStr) -> Result {
        let is_judged = self.firewall.is_in_force();
        if !is_judged && !self.answers.is_on() {
            return Ok(());
        }
        // Otherwise nobody has requested it.
        let Some(helper) = self.helpers.helper_of_current() else {
            return Ok(());
        };
        helper.note_tried();
        match is_judged {
            true => self.check(&helper, Name::new(name)),
            false => Ok(()),
        }
    }

    fn live(&self, name: &CStr, id: ModuleId) {
        // Its init part will be freed.
        self.call_sites.forget();
        self.refusals.modules_changed();
        self.answers.module_came();
        let Some(helper) = self.helpers.helper_of_current() else {
            return;
        };
        helper.note_loaded();
        if let Some(record) = helper.record() {
            self.autoloaded.appeared(Name::new(name), id, record);
        }
    }

    fn going(&self, id: ModuleId, is_unload: bool) {
        self.call_sites.forget();
        if is_unload {
            self.unloads.notify();
            // A module that could not be initialised was not live: users can have the kernel try.
            self.refusals.modules_changed();
            self.answers.module_left();
        }
        self.autoloaded.gone(id);
    }
}
