// SPDX-License-Identifier: GPL-2.0

//! Who asks for a module, as plain values.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/capability.h`](srctree/include/linux/capability.h),
//! [`include/linux/cgroup.h`](srctree/include/linux/cgroup.h)

use super::{
    log::Escaped, //
    private_symbols::PrivateSymbols,
};
use core::ptr;
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    fmt,
    prelude::*,
    task::Pid, //
};

extern "C" {
    /// See requester.c.
    fn kmod_rs_requester_loginuid() -> u32;

    /// See requester.c.
    fn kmod_rs_requester_is_in_init_userns() -> bool;

    /// See requester.c.
    fn kmod_rs_requester_nspid() -> c_int;

    /// See requester.c.
    fn kmod_rs_requester_cgroup(buffer: *mut c_char, size: usize);

    /// See requester.c.
    fn kmod_rs_symbol(buffer: *mut c_char, size: usize, address: c_ulong);

    /// See ksyms.S.
    fn kmod_rs_has_capability_noaudit(task: *mut c_void, capability: c_int) -> bool;
}

/// The size of a task's name, `TASK_COMM_LEN`.
const COMM_LEN: usize = bindings::TASK_COMM_LEN as usize;

/// How much of the path of a cgroup is kept, with its final NUL.
const CGROUP_LEN: usize = 128;

/// How much of the name of a call site is kept, with its final NUL.
///
/// With 16 bytes more, a record and its reference count would not fit into 512.
const CALL_SITE_LEN: usize = 80;

/// The bytes before the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The task that made a request.
///
/// Shown as `comm[pid] uid n`; what is unusual in the name is escaped.
#[derive(Clone, Copy)]
pub(crate) struct Requester {
    /// Its id, in the initial namespace.
    pid: Pid,
    /// The id of its thread group, in the initial namespace.
    tgid: Pid,
    /// Its real user id, in the initial namespace.
    uid: u32,
    /// Its name, up to the first NUL; the last byte is one.
    comm: [u8; COMM_LEN],
}

impl Requester {
    /// Describes the current task.
    ///
    /// Context: any with a task.
    pub(crate) fn current() -> Self {
        let task = current!();

        // SAFETY: The current task lives. Another thread may write to its name at the same time,
        // whose bytes are then some of the old and some of the new one; each is read once.
        let mut comm = unsafe { ptr::read_volatile(&raw const (*task.as_ptr()).comm) };
        comm[COMM_LEN - 1] = 0;

        Self {
            pid: task.pid(),
            // SAFETY: As above; it does not change.
            tgid: unsafe { (*task.as_ptr()).tgid },
            uid: task.uid().into_raw().val,
            comm,
        }
    }

    /// Its id, in the initial namespace.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// The id of its thread group, in the initial namespace.
    pub(crate) fn tgid(&self) -> Pid {
        self.tgid
    }

    /// Its real user id, in the initial namespace.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Its name, which may be any bytes but NUL.
    pub(crate) fn comm(&self) -> &[u8] {
        text(&self.comm)
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!(
            "{}[{}] uid {}",
            Escaped(self.comm()),
            self.pid,
            self.uid,
        ))
    }
}

/// Whether the current task is a thread or a worker of the kernel, not of a program.
///
/// Context: any with a task.
pub(crate) fn is_kernel_thread() -> bool {
    // SAFETY: The current task lives. Only it changes its flags, and this one never.
    unsafe { (*current!().as_ptr()).flags & bindings::PF_KTHREAD != 0 }
}

/// What a task may do, by its objective credentials: what it is, not what it does something as for
/// a moment.
#[derive(Clone, Copy)]
pub(crate) struct Credentials {
    /// Whether it is a thread or a worker of the kernel.
    pub(crate) is_kernel_thread: bool,
    /// Whether it has CAP_SYS_MODULE in the initial user namespace.
    pub(crate) may_load_modules: bool,
    /// Whether it has CAP_NET_ADMIN in the initial user namespace.
    pub(crate) may_configure_network: bool,
    /// Its effective user id, if it is in the initial user namespace.
    pub(crate) euid: Option<u32>,
}

impl Credentials {
    /// Those of the current task. Asks the security modules about the capabilities.
    ///
    /// Context: any with a task.
    pub(crate) fn current(symbols: PrivateSymbols) -> Self {
        // SAFETY: The current task lives, and its credentials with it: no other task replaces them, and
        // they do not change themselves. Of the namespace only the address is taken.
        let (euid, is_in_init_userns) = unsafe {
            let credentials = (*current!().as_ptr()).real_cred;
            (
                (*credentials).euid.val,
                ptr::eq((*credentials).user_ns, &raw const bindings::init_user_ns),
            )
        };

        Self {
            is_kernel_thread: is_kernel_thread(),
            may_load_modules: has_capability(symbols, bindings::CAP_SYS_MODULE),
            may_configure_network: has_capability(symbols, bindings::CAP_NET_ADMIN),
            euid: is_in_init_userns.then_some(euid),
        }
    }
}

/// Whether the current task has a capability in the initial user namespace, by its objective
/// credentials. Leaves no trace in the audit log.
fn has_capability(_symbols: PrivateSymbols, capability: u32) -> bool {
    // SAFETY: By the invariant of `_symbols` the jump has its target. The current task lives.
    // CAST: A small number.
    unsafe { kmod_rs_has_capability_noaudit(current!().as_ptr().cast(), capability as c_int) }
}

/// Whether the current task may say which modules are loaded by request, and how many programs run
/// for that: who may load any module itself.
///
/// Owning the file is not enough: in a container, whose root has lost the capability, that is root.
///
/// Returns [`EPERM`].
///
/// Context: with a task.
pub(crate) fn may_configure() -> Result {
    // CAST: A small number.
    // SAFETY: May be called from process context.
    if unsafe { bindings::capable(bindings::CAP_SYS_MODULE as c_int) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// Where a request comes from: what is known of the task besides [`Requester`], and the place in
/// the kernel.
pub(crate) struct Origin {
    /// The user who logged in, in the initial namespace.
    pub(crate) loginuid: Option<u32>,
    /// Whether the task is in the initial user namespace.
    pub(crate) is_in_init_userns: bool,
    /// The task's id in its own namespace.
    pub(crate) nspid: Pid,
    cgroup: [u8; CGROUP_LEN],
    call_site: [u8; CALL_SITE_LEN],
}

impl Origin {
    /// Describes the current task, and the call that returns to `call_site`.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn current(call_site: usize) -> Self {
        // SAFETY: May be called wherever there is a task.
        let (loginuid, is_in_init_userns, nspid) = unsafe {
            (
                kmod_rs_requester_loginuid(),
                kmod_rs_requester_is_in_init_userns(),
                kmod_rs_requester_nspid(),
            )
        };
        let mut origin = Self {
            loginuid: (loginuid != u32::MAX).then_some(loginuid),
            is_in_init_userns,
            nspid,
            cgroup: [0; CGROUP_LEN],
            call_site: [0; CALL_SITE_LEN],
        };

        // SAFETY: Each buffer has the size that is given with it.
        unsafe {
            kmod_rs_requester_cgroup(origin.cgroup.as_mut_ptr().cast(), CGROUP_LEN);
            kmod_rs_symbol(
                origin.call_site.as_mut_ptr().cast(),
                CALL_SITE_LEN,
                call_site,
            );
        }
        origin
    }

    /// The path of its cgroup in the unified hierarchy; of a long one the end. Empty if it is not
    /// known.
    pub(crate) fn cgroup(&self) -> &[u8] {
        text(&self.cgroup)
    }

    /// The place in the kernel, as symbol+offset/size.
    pub(crate) fn call_site(&self) -> &[u8] {
        text(&self.call_site)
    }
}
