// SPDX-License-Identifier: GPL-2.0

//! Which request a module belongs to that appears.
//!
//! Has no counterpart in the C code. The kernel calls a module notifier in the task that has
//! initialised the module. If that task is a helper, or descends from one, the module belongs to
//! the helper's request.

use crate::{
    records::autoloaded::Autoloaded,
    request::helpers::Helpers,
    wrappers::{
        name::Name,
        notifier::Watch, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Enters modules into the table of autoloaded modules as they appear, and removes them as they go.
pub(crate) struct ModuleWatcher {
    /// The helpers that run.
    pub(crate) helpers: Arc<Helpers>,
    /// The table.
    pub(crate) autoloaded: Arc<Autoloaded>,
}

impl Watch for ModuleWatcher {
    fn live(&self, name: &CStr) {
        let Some(helper) = self.helpers.helper_of_current() else {
            return;
        };
        if let Some(record) = helper.record() {
            self.autoloaded.appeared(Name::new(name), record);
        }
    }

    fn going(&self, name: &CStr) {
        self.autoloaded.gone(&Name::new(name));
    }
}
