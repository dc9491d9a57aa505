// SPDX-License-Identifier: GPL-2.0

//! The places that requests come from, in words.
//!
//! Has no counterpart in the C code. Looking a symbol up costs more than all else in a record, and
//! there are only some hundred places in the kernel that make requests. So the text for an address
//! is kept, and records share it.
//!
//! An address in a module means something else when the module has gone, and one in its init part
//! when it has been initialised. At both times a place can have no request on its way: the code
//! there has returned. So all texts are forgotten then, and looked up anew. Records keep theirs.

use crate::wrappers::call_site::CallSite;
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// How many texts are kept at most. The kernel has some 350 callers of `request_module()`.
const MAX_SITES: usize = 512;

/// The texts, by address.
///
/// # Invariants
///
/// `length` is the number of texts.
struct Table {
    sites: RBTree<usize, Arc<CallSite>>,
    length: usize,
}

impl Table {
    fn new() -> Self {
        // INVARIANT: There is none.
        Self {
            sites: RBTree::new(),
            length: 0,
        }
    }
}

/// The places that requests come from.
#[pin_data]
pub(crate) struct CallSites {
    #[pin]
    table: SpinLock<Table>,
}

impl CallSites {
    /// Creates an empty table.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                table <- new_spinlock!(Table::new(), "kmod_rs::CallSites::table"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the text for an address to which the current task will return.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn get(&self, address: usize) -> Result<Arc<CallSite>> {
        let known = self.table.lock().sites.get(&address).cloned();
        match known {
            Some(site) => Ok(site),
            None => self.look_up(address),
        }
    }

    /// Looks a text up, and keeps it if there is room.
    #[inline(never)]
    fn look_up(&self, address: usize) -> Result<Arc<CallSite>> {
        let site = Arc::new(CallSite::new(address), GFP_KERNEL)?;
        let node = RBTreeNode::new(address, site.clone(), GFP_KERNEL)?;

        let mut table = self.table.lock();
        if table.length == MAX_SITES {
            return Ok(site);
        }
        let before = table.sites.insert(node);
        if before.is_none() {
            // INVARIANT: There is one more. Otherwise another task has looked it up meanwhile.
            table.length += 1;
        }
        drop(table);
        drop(before);
        Ok(site)
    }

    /// Forgets all texts: a module has gone, or the init part of one will be freed.
    ///
    /// Context: may sleep. Before the memory of the module is used for something else.
    pub(crate) fn forget(&self) {
        let table = mem::replace(&mut *self.table.lock(), Table::new());
        drop(table);
    }
}

#[kunit_tests(kmod_rs_call_sites)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shared_until_it_is_forgotten() -> Result {
        let sites = CallSites::new()?;
        let first = sites.get(1)?;
        assert!(Arc::ptr_eq(&first, &sites.get(1)?));
        assert!(!Arc::ptr_eq(&first, &sites.get(2)?));
        sites.forget();
        assert!(!Arc::ptr_eq(&first, &sites.get(1)?));
        assert!(!first.text().is_empty());
        Ok(())
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() -> Result {
        let sites = CallSites::new()?;
        for address in 0..MAX_SITES {
            sites.get(address)?;
        }
        let another = sites.get(MAX_SITES)?;
        assert!(!Arc::ptr_eq(&another, &sites.get(MAX_SITES)?));
        assert!(Arc::ptr_eq(&sites.get(0)?, &sites.get(0)?));
        Ok(())
    }
}
