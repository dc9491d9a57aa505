// SPDX-License-Identifier: GPL-2.0

//! request/question.rs for loom: a number.

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question(pub(crate) u32);

impl Question {
    pub(crate) fn hash(&self) -> u32 {
        self.0
    }
}
