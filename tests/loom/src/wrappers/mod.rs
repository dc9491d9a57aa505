// SPDX-License-Identifier: GPL-2.0

//! wrappers for loom: what concurrency.rs, lending.rs, sharing.rs and unwaiting.rs use of them.

pub(crate) mod exit;
pub(crate) mod job;
#[path = "../../../../wrappers/spare_node.rs"]
pub(crate) mod spare_node;
pub(crate) mod wait;
pub(crate) mod workqueue;

/// wrappers/modprobe_path.rs.
pub(crate) mod modprobe_path {
    use super::private_symbols::PrivateSymbols;

    pub(crate) fn is_empty(_symbols: PrivateSymbols) -> bool {
        false
    }
}

/// wrappers/module.rs: the module is always there.
pub(crate) mod module {
    use kernel::prelude::*;

    pub(crate) struct Reference(());

    impl Reference {
        pub(crate) fn try_get() -> Result<Self> {
            Ok(Self(()))
        }
    }
}

/// wrappers/pid.rs.
pub(crate) mod pid {
    pub(crate) struct ThreadGroup(());

    impl ThreadGroup {
        pub(crate) fn current() -> Option<Self> {
            Some(Self(()))
        }
    }
}

/// wrappers/private_symbols.rs.
pub(crate) mod private_symbols {
    #[derive(Clone, Copy)]
    pub(crate) struct PrivateSymbols;
}

/// wrappers/requester.rs.
pub(crate) mod requester {
    pub(crate) struct Account(pub(crate) u64);

    impl Account {
        pub(crate) fn number(self) -> u64 {
            self.0
        }
    }
}
