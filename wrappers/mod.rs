// SPDX-License-Identifier: GPL-2.0

//! What the `kernel` crate does not offer yet.
//!
//! Each file wraps one thing of the kernel, with the C that it takes beside it, and is written as
//! it would be for the `kernel` crate. It goes when that crate offers the same.

pub(crate) mod call_site;
pub(crate) mod crypto;
pub(crate) mod debugfs;
pub(crate) mod delayed_work;
pub(crate) mod exit;
pub(crate) mod glob;
pub(crate) mod job;
pub(crate) mod log;
pub(crate) mod modprobe_path;
pub(crate) mod module;
pub(crate) mod module_list;
pub(crate) mod module_use;
pub(crate) mod name;
pub(crate) mod notifier;
pub(crate) mod pid;
pub(crate) mod private_symbols;
pub(crate) mod proc_file;
pub(crate) mod process_tree;
pub(crate) mod requester;
pub(crate) mod security;
pub(crate) mod spare_box;
pub(crate) mod spare_node;
pub(crate) mod stack_trace;
pub(crate) mod sysctl;
pub(crate) mod text_parameters;
pub(crate) mod trace;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod workqueue;
