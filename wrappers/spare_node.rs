// SPDX-License-Identifier: GPL-2.0

//! A node of a tree that is used again.
//!
//! Of a tree that entries come to and go from all the time, the node of the last one that has gone
//! does for the next one. That saves a piece of memory in the usual case, in which the tree has one
//! entry at a time.

use kernel::{
    prelude::*,
    rbtree::{
        RBTreeNode,
        RBTreeNodeReservation, //
    }, //
};

/// The memory of one node, if a node was given back.
pub(crate) struct SpareNode<K, V>(Option<RBTreeNodeReservation<K, V>>);

impl<K, V> SpareNode<K, V> {
    /// Creates a value that has no node.
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Returns whether there is a node.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the node, if there is one.
    pub(crate) fn take(&mut self) -> Option<RBTreeNodeReservation<K, V>> {
        self.0.take()
    }

    /// Keeps a node that was taken out of the tree, and drops what is in it.
    ///
    /// If there is one already, returns the node, so that it can be freed without a lock.
    #[must_use]
    pub(crate) fn keep(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
        if self.0.is_some() {
            return Some(node);
        }
        self.0 = Some(node.into_reservation());
        None
    }

    /// Keeps a node that was taken but is not used.
    pub(crate) fn put_back(&mut self, node: RBTreeNodeReservation<K, V>) {
        self.0 = Some(node);
    }
}

#[kunit_tests(kmod_rs_spare_node)]
mod tests {
    use super::*;
    use kernel::rbtree::RBTree;

    #[test]
    fn one_node_is_kept() -> Result {
        let mut spare = SpareNode::new();
        assert!(spare.take().is_none());

        let mut tree = RBTree::new();
        for key in [1, 2] {
            tree.try_create_and_insert(key, (), GFP_KERNEL)?;
        }
        let first = tree.remove_node(&1).ok_or(EINVAL)?;
        let second = tree.remove_node(&2).ok_or(EINVAL)?;
        assert!(spare.keep(first).is_none());
        assert!(spare.keep(second).is_some());

        let place = spare.take().ok_or(EINVAL)?;
        assert!(spare.take().is_none());
        tree.insert(place.into_node(3, ()));
        assert!(tree.get(&3).is_some());
        Ok(())
    }
}
