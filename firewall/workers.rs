// SPDX-License-Identifier: GPL-2.0

//! Threads and workers of the kernel that are judged as anybody.
//!
//! Has no counterpart in the C code. Nobody can say for whom a thread or a worker of the kernel
//! works, so most of them are privileged. If a user or a peer has chosen the name that it asks for,
//! it is not: then the request goes by the rules for anybody.
//!
//! For most names the name itself tells (chosen_names.rs). For that of an algorithm it does not:
//! the functions that the thread is in tell.

use crate::{
    chosen_names,
    wrappers::stack_trace::{
        Function,
        StackTrace, //
    }, //
};
use kernel::prelude::*;

/// The modules that ask for algorithms which a peer chooses.
const MODULES: [&[u8]; 2] = [b"drbd", b"tipc"];

/// How the names of functions of the kernel itself begin that ask for algorithms which others
/// choose: the same modules if they are built in, and programs for BPF.
const PREFIXES: [&[u8]; 3] = [b"bpf_prog_", b"drbd_", b"tipc_"];

/// The function of the workers that run programs for BPF.
const BPF_WORK: &[u8] = b"bpf_wq_work";

/// The function in which each thread and worker of the kernel begins.
const BEGINNING: &[u8] = b"kthread";

/// Returns whether a thread or a worker of the kernel that asks for this name is judged as anybody.
///
/// Context: in such a thread or worker; may sleep. The caller may hold mutexes.
#[inline(never)]
pub(crate) fn is_judged_as_anybody(name: &CStr) -> bool {
    chosen_names::is_chosen(name) || chosen_names::is_algorithm(name) && asks_for_others()
}

/// Returns whether the current task, a thread or a worker of the kernel, asks for an algorithm that
/// others may have chosen.
///
/// This is also so if it is not known.
fn asks_for_others() -> bool {
    let Ok(trace) = StackTrace::current() else {
        return true;
    };
    let mut evidence = Evidence::default();

    trace.for_each(|function| evidence.add(function)).is_err() || evidence.is_for_others()
}

/// What the functions tell that a thread is in.
#[derive(Default)]
struct Evidence {
    /// The thread is in a function that asks for algorithms which others choose.
    is_chosen: bool,
    /// The trace goes back to where the thread has begun.
    is_whole: bool,
}

impl Evidence {
    fn add(&mut self, function: Function<'_>) {
        match function.module {
            Some(module) => self.is_chosen |= MODULES.contains(&module),
            None => {
                self.is_chosen |= function.name == BPF_WORK
                    || PREFIXES
                        .iter()
                        .any(|prefix| function.name.starts_with(prefix));
                self.is_whole |= function.name == BEGINNING;
            }
        }
    }

    fn is_for_others(&self) -> bool {
        self.is_chosen || !self.is_whole
    }
}

#[kunit_tests(kmod_rs_workers)]
mod tests {
    use super::*;

    /// Returns what these functions tell, in the form `NAME` or `NAME [MODULE]`.
    fn is_for_others(functions: &[&[u8]]) -> bool {
        let mut evidence = Evidence::default();
        for text in functions {
            evidence.add(Function::parse(text));
        }
        evidence.is_for_others()
    }

    #[test]
    fn peers_choose_for_tipc_and_drbd() -> Result {
        for function in [
            &b"tipc_crypto_work_rx+0x1/0x2 [tipc]"[..],
            b"receive_protocol+0x1/0x2 [drbd]",
            b"tipc_crypto_work_rx+0x1/0x2",
            b"drbd_thread_setup+0x1/0x2",
            b"bpf_wq_work+0x1/0x2",
            b"bpf_prog_6deef7357e7b4530_callback+0x1/0x2",
        ] {
            assert!(is_for_others(&[
                b"crypto_larval_lookup+0x1/0x2",
                function,
                b"kthread+0x1/0x2",
            ]));
        }
        Ok(())
    }

    #[test]
    fn others_choose_for_themselves() -> Result {
        for function in [
            &b"kcryptd_crypt+0x1/0x2 [dm_crypt]"[..],
            b"smb3_crypto_aead_allocate+0x1/0x2 [cifs]",
            b"ceph_con_workfn+0x1/0x2 [libceph]",
            b"tipc_like+0x1/0x2 [nottipc]",
            b"f+0x1/0x2 [tipc2]",
            b"f+0x1/0x2 [drbd_like]",
            b"bpf_wq_work_not+0x1/0x2",
            b"not_drbd_+0x1/0x2",
        ] {
            assert!(!is_for_others(&[function, b"kthread+0x1/0x2"]));
        }
        Ok(())
    }

    #[test]
    fn what_is_not_known_is_for_others() -> Result {
        assert!(is_for_others(&[]));
        assert!(is_for_others(&[b"ceph_con_workfn+0x1/0x2 [libceph]"]));
        assert!(is_for_others(&[b"kthread+0x1/0x2 [libceph]"]));
        assert!(is_for_others(&[b"kthreadd+0x1/0x2"]));
        assert!(is_for_others(&[b"0xffffffff81000000"]));
        Ok(())
    }

    #[test]
    fn a_thread_of_the_kernel_is_whole() -> Result {
        // Tests run in a thread of the kernel.
        assert!(!is_judged_as_anybody(c"crypto-aes"));
        assert!(!is_judged_as_anybody(c"fs-ext4"));
        assert!(is_judged_as_anybody(c"w1-family-0x10"));
        Ok(())
    }
}
