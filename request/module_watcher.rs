// SPDX-License-Identifier: GPL-2.0

//! Finds the request that a module was loaded for.
//!
//! Has no counterpart in the C code. The kernel calls a module notifier in the task that has
//! initialised the module. If this task is a helper, or descends from one, the module was loaded
//! for the request of the closest such helper. Unloads are counted, see unloads.rs.

use crate::{
    records::autoloaded::Autoloaded,
    request::{
        helpers::Helpers,
        unloads::Unloads, //
    },
    wrappers::{
        name::Name,
        notifier::WatchModules, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Enters modules into the table of autoloaded modules as they appear, and removes them as they go.
pub(crate) struct ModuleWatcher {
    /// The helpers.
    pub(crate) helpers: Arc<Helpers>,
    /// The table of autoloaded modules.
    pub(crate) autoloaded: Arc<Autoloaded>,
    /// What is known of unloads.
    pub(crate) unloads: Arc<Unloads>,
}

impl WatchModules for ModuleWatcher {
    fn live(&self, name: &CStr) {
        let Some(helper) = self.helpers.helper_of_current() else {
            return;
        };
        helper.note_loaded();
        if let Some(record) = helper.record() {
            self.autoloaded.appeared(Name::new(name), record);
        }
    }

    fn going(&self, name: &CStr, is_unload: bool) {
        if is_unload {
            self.unloads.notify();
        }
        self.autoloaded.gone(&Name::new(name));
    }
}
