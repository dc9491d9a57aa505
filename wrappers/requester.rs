// SPDX-License-Identifier: GPL-2.0

//! The requester of a module, as plain values.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/capability.h`](srctree/include/linux/capability.h),
//! [`include/linux/cgroup.h`](srctree/include/linux/cgroup.h)

use super::{
    log::Escaped, //
    private_symbols::PrivateSymbols,
};
use core::{
    cell::OnceCell,
    mem::offset_of,
    ptr, //
};
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    fmt,
    prelude::*,
    str::CString,
    sync::Arc,
    task::Pid, //
};

extern "C" {
    /// See requester.c.
    fn kmod_rs_requester_loginuid() -> u32;

    /// See requester.c.
    fn kmod_rs_requester_is_in_init_userns() -> bool;

    /// See requester.c.
    fn kmod_rs_requester_acts_as(uid: *mut u32, is_in_init_userns: *mut bool) -> bool;

    /// See requester.c.
    fn kmod_rs_requester_is_in_init_pidns() -> bool;

    /// See requester.c.
    fn kmod_rs_requester_is_elevated() -> bool;

    /// See requester.c.
    fn kmod_rs_requester_nspid() -> c_int;

    /// See requester.c.
    fn kmod_rs_requester_account() -> u64;

    /// See requester.c.
    fn kmod_rs_requester_whole_cgroup(buffer: *mut c_char, size: usize) -> bool;

    /// See requester.c.
    fn kmod_rs_requester_cgroup(buffer: *mut c_char, size: usize);

    /// See ksyms.S.
    fn kmod_rs_has_capability_noaudit(task: *mut c_void, capability: c_int) -> bool;
}

/// The size of a task's name with its final NUL: `TASK_COMM_LEN`.
const COMM_LEN: usize = bindings::TASK_COMM_LEN as usize;

/// The size of the same in words, in which it is read.
const WORDS: usize = COMM_LEN / size_of::<u64>();

const _: () = {
    assert!(COMM_LEN % size_of::<u64>() == 0);
    assert!(offset_of!(bindings::task_struct, comm) % align_of::<u64>() == 0);
};

/// How many bytes of the path of a cgroup are kept, the final NUL included.
const CGROUP_LEN: usize = 128;

/// The size of the longest path of a cgroup that can be known as a whole, the final NUL included.
const PATH_LEN: usize = bindings::PATH_MAX as usize;

/// The kinds of accounts, as in requester.c: the upper half of the number of an account. What is
/// neither is a container.
const KIND_USER: u64 = 0;
const KIND_KERNEL: u64 = 1;

/// Returns the bytes before the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The task that made a request.
///
/// Shown as `comm[pid] uid n`, with the name as by [`Escaped`].
#[derive(Clone, Copy)]
pub(crate) struct Requester {
    /// The id of the task, in the initial namespace.
    pid: Pid,
    /// The id of its thread group, in the initial namespace.
    tgid: Pid,
    /// Its real user id, in the initial namespace.
    uid: u32,
    /// Its name, which ends at the first NUL. The last byte is NUL.
    comm: [u8; COMM_LEN],
}

impl Requester {
    /// Describes the current task.
    ///
    /// Context: any in which there is a current task.
    pub(crate) fn current() -> Self {
        let task = current!();

        // SAFETY: The current task is not freed while it runs. The name is as large as the words,
        // and aligned for them, see `WORDS`. Another thread of the process may write it at the same
        // time. Then some bytes are of the old name and some of the new one. Any bytes are a valid
        // value, and each is read once.
        let words: [u64; WORDS] =
            unsafe { ptr::read_volatile((&raw const (*task.as_ptr()).comm).cast()) };
        let mut comm = [0; COMM_LEN];
        for (to, word) in comm.chunks_exact_mut(size_of::<u64>()).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        comm[COMM_LEN - 1] = 0;

        Self {
            pid: task.pid(),
            // SAFETY: The current task is not freed while it runs. Its `tgid` does not change.
            tgid: unsafe { (*task.as_ptr()).tgid },
            uid: task.uid().into_raw().val,
            comm,
        }
    }

    /// Returns the id of the task, in the initial namespace.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns the id of the task's thread group, in the initial namespace.
    pub(crate) fn tgid(&self) -> Pid {
        self.tgid
    }

    /// Returns the real user id of the task, in the initial namespace.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the name of the task, which can contain any bytes except NUL.
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

/// The account that a request is on: a person, a container, or the kernel.
///
/// Shown as the user id of a person (in the initial user namespace), as `pid:[N]` for a container,
/// where `/proc/PID/ns/pid` is a link to the same, or as `kernel`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account(u64);

impl Account {
    /// The account of root, in the initial namespaces.
    pub(crate) const ROOT: Self = Self::of_user(0);

    /// The account of all threads and workers of the kernel.
    pub(crate) const KERNEL: Self = Self(KIND_KERNEL << 32);

    /// Returns the account of a user of the initial user namespace.
    pub(crate) const fn of_user(uid: u32) -> Self {
        // CAST: It is wider.
        Self(KIND_USER << 32 | uid as u64)
    }

    /// Returns the account of the current task.
    ///
    /// Context: any with a task.
    pub(crate) fn current() -> Self {
        // SAFETY: May be called wherever there is a task.
        Self(unsafe { kmod_rs_requester_account() })
    }

    /// Returns the number of the account. Different accounts have different numbers.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // CAST: The lower half.
        let id = self.0 as u32;
        match self.0 >> 32 {
            KIND_USER => id.fmt(f),
            KIND_KERNEL => f.write_str("kernel"),
            _ => f.write_fmt(fmt!("pid:[{id}]")),
        }
    }
}

/// Returns whether the current task is a thread or a worker of the kernel (`PF_KTHREAD`).
///
/// The workers of io_uring are not: they are threads of a program.
///
/// Context: any in which there is a current task.
pub(crate) fn is_kernel_thread() -> bool {
    // SAFETY: The current task is not freed while it runs. Only the task itself changes its flags.
    unsafe { (*current!().as_ptr()).flags & bindings::PF_KTHREAD != 0 }
}

/// What a task may do.
///
/// A task has two sets of credentials: its own, the objective ones (`real_cred`), and those that it
/// acts with, the subjective ones (`cred`). They may be somebody else's for a moment, for example
/// in overlayfs or io_uring, and so may the first set, in a worker of io_uring. So a task may do
/// what both allow.
#[derive(Clone, Copy)]
pub(crate) struct Credentials {
    /// Whether the task is a thread or a worker of the kernel.
    pub(crate) is_kernel_thread: bool,
    /// Whether the task has CAP_SYS_MODULE in the initial user namespace, by both sets.
    pub(crate) may_load_modules: bool,
    /// Whether the task has CAP_NET_ADMIN in the initial user namespace, by both sets.
    pub(crate) may_configure_network: bool,
    /// The effective user ids by the two sets; [`None`] if one set belongs to another user
    /// namespace than the initial one, or if the task is in another pid namespace.
    pub(crate) euids: Option<[u32; 2]>,
    /// Whether the task has its rights by the execution of its program, a setuid program for
    /// example (AT_SECURE), or whether that is not known.
    pub(crate) is_elevated: bool,
}

impl Credentials {
    /// Reads the credentials of the current task, and asks the security modules about its
    /// capabilities.
    ///
    /// Context: any in which there is a current task.
    pub(crate) fn current(symbols: PrivateSymbols) -> Self {
        Self {
            is_kernel_thread: is_kernel_thread(),
            may_load_modules: has_capability(symbols, bindings::CAP_SYS_MODULE),
            may_configure_network: has_capability(symbols, bindings::CAP_NET_ADMIN),
            euids: euids(),
            // SAFETY: May be called wherever there is a current task.
            is_elevated: unsafe { kmod_rs_requester_is_elevated() },
        }
    }
}

/// See [`Credentials::euids`].
fn euids() -> Option<[u32; 2]> {
    // SAFETY: The current task is not freed while it runs. Only the task itself replaces its
    // credentials, so both sets stay valid here. (The C macros `current_real_cred()` and
    // `current_cred()` rely on the same.)
    let sets = unsafe {
        let task = current!().as_ptr();
        [(*task).real_cred, (*task).cred]
    };
    let are_initial = sets.iter().all(|set| {
        // SAFETY: It is valid, and credentials in use do not change. The pointer to the user
        // namespace is only compared.
        unsafe { ptr::eq((**set).user_ns, &raw const bindings::init_user_ns) }
    });

    // SAFETY: May be called wherever there is a current task.
    let is_in_init_pidns = unsafe { kmod_rs_requester_is_in_init_pidns() };

    (are_initial && is_in_init_pidns).then(|| {
        sets.map(|set| {
            // SAFETY: It is valid, and credentials in use do not change.
            unsafe { (*set).euid.val }
        })
    })
}

/// Returns whether the current task has a capability in the initial user namespace, by both sets of
/// credentials.
///
/// Leaves no trace in the audit log.
fn has_capability(_symbols: PrivateSymbols, capability: u32) -> bool {
    // CAST: A small number.
    let capability = capability as c_int;
    let task = current!().as_ptr();

    // SAFETY: By the type invariant of `PrivateSymbols` the jump in ksyms.S has its target. The
    // current task is not freed while it runs.
    if !unsafe { kmod_rs_has_capability_noaudit(task.cast(), capability) } {
        return false;
    }
    // SAFETY: The current task is not freed while it runs. Only the task itself replaces its
    // credentials. The pointers are only compared.
    let acts_as_itself = unsafe { ptr::eq((*task).real_cred, (*task).cred) };

    if acts_as_itself {
        return true;
    }

    // SAFETY: May be called wherever there is a current task. The initial user namespace is never
    // freed.
    unsafe { bindings::ns_capable_noaudit(&raw mut bindings::init_user_ns, capability) }
}

/// The whole path of a task's cgroup in the unified hierarchy, seen from its root.
pub(crate) struct CgroupPath(CString);

impl CgroupPath {
    /// Returns that of the current task; [`None`] if it is not known, because it is longer than
    /// `PATH_MAX`, or because there is no memory for it.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn current() -> Option<Arc<Self>> {
        let mut buffer = KVec::<u8>::with_capacity(PATH_LEN, GFP_KERNEL).ok()?;
        let start = buffer.as_mut_ptr().cast();

        // SAFETY: The buffer is valid for writes of its capacity, which is `PATH_LEN` or more.
        if !unsafe { kmod_rs_requester_whole_cgroup(start, PATH_LEN) } {
            return None;
        }
        // SAFETY: The function has made the buffer a C string, which is not written to any more.
        Self::new(unsafe { CStr::from_char_ptr(start) })
    }

    /// Copies a path. Returns [`None`] if there is no memory for it.
    pub(crate) fn new(path: &CStr) -> Option<Arc<Self>> {
        Arc::new(Self(CString::try_from(path).ok()?), GFP_KERNEL).ok()
    }
}

/// The cgroup of a task, whose path is looked up when it is first asked for.
pub(crate) struct LazyCgroup(OnceCell<Option<Arc<CgroupPath>>>);

impl LazyCgroup {
    /// Returns that of the current task.
    pub(crate) fn of_current() -> Self {
        Self(OnceCell::new())
    }

    /// Returns a cgroup whose path is known, or is not and is not to be looked up.
    pub(crate) fn known(path: Option<Arc<CgroupPath>>) -> Self {
        Self(OnceCell::from(path))
    }

    /// Returns the path; [`None`] if it is not known.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn path(&self) -> Option<&CStr> {
        let path = self.0.get_or_init(CgroupPath::current);
        path.as_ref().map(|path| &*path.0)
    }

    /// Returns the path if it was asked for, and is known.
    pub(crate) fn looked_up(&self) -> Option<&Arc<CgroupPath>> {
        self.0.get()?.as_ref()
    }
}

/// Checks that the current task may configure which modules are loaded by request, and how many
/// helpers run: that it has CAP_SYS_MODULE, and so may load any module itself.
///
/// To own the file is not enough: in a container without this capability, root still owns it.
///
/// Returns [`EPERM`] if the task does not have the capability.
///
/// Context: any in which there is a current task.
pub(crate) fn may_configure() -> Result {
    // CAST: A small number.
    // SAFETY: `capable()` may be called wherever there is a current task.
    if unsafe { bindings::capable(bindings::CAP_SYS_MODULE as c_int) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// The subjective credentials of a task.
#[derive(Clone, Copy)]
pub(crate) struct ActsAs {
    /// The real user id, in the initial namespace.
    pub(crate) uid: u32,
    /// Whether they belong to the initial user namespace.
    pub(crate) is_in_init_userns: bool,
}

impl ActsAs {
    /// Returns those of the current task; [`None`] if they are its own, the objective ones.
    fn current() -> Option<Self> {
        let mut acts_as = Self {
            uid: 0,
            is_in_init_userns: false,
        };
        // SAFETY: May be called wherever there is a current task. Both pointers are valid for
        // writes.
        let are_others =
            unsafe { kmod_rs_requester_acts_as(&mut acts_as.uid, &mut acts_as.is_in_init_userns) };
        are_others.then_some(acts_as)
    }
}

/// Where a request comes from: what is known of the requester besides [`Requester`].
pub(crate) struct Origin {
    /// The id of the user who logged in, in the initial namespace.
    pub(crate) loginuid: Option<u32>,
    /// Whether the task is in the initial user namespace.
    pub(crate) is_in_init_userns: bool,
    /// The credentials that the task acts with, if these are not its own.
    pub(crate) acts_as: Option<ActsAs>,
    /// The id of the task, in its own namespace.
    pub(crate) nspid: Pid,
    cgroup: [u8; CGROUP_LEN],
}

impl Origin {
    /// Describes the current task.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn current() -> Self {
        // SAFETY: The functions may be called wherever there is a current task.
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
            acts_as: ActsAs::current(),
            nspid,
            cgroup: [0; CGROUP_LEN],
        };

        // SAFETY: The buffer is valid for writes of `CGROUP_LEN` bytes.
        unsafe { kmod_rs_requester_cgroup(origin.cgroup.as_mut_ptr().cast(), CGROUP_LEN) };
        origin
    }

    /// Returns the path of the task's cgroup in the unified hierarchy; empty if it is not known.
    ///
    /// Of a path that is too long, this is `...` and the end.
    pub(crate) fn cgroup(&self) -> &[u8] {
        text(&self.cgroup)
    }
}
