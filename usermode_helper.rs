// SPDX-License-Identifier: GPL-2.0

//! Running a program in user space from the kernel.
//!
//! The `kernel` crate has no usermode helper. What makes it hard to use safely is that the caller
//! may be killed while the helper runs on: the kernel then still reads the path and the arguments,
//! and calls back, after the caller has returned. So they belong to a [`Command`] on the heap,
//! which is dropped when nothing can read it any more, and each one in flight holds a reference on
//! the module that its callback is in.
//!
//! How a helper ended is known in two places: to the caller, if it is still there, and to the
//! callback that ends its life, which is told 0 where the helper was not even started. Whichever
//! of the two comes last has both answers, and tells the command.
//!
//! C headers: [`include/linux/umh.h`](srctree/include/linux/umh.h),
//! [`include/linux/kmod.h`](srctree/include/linux/kmod.h)

use crate::wrappers::module::{
    self,
    OnStack, //
};
use core::ptr;
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};

/// The most arguments, and the most environment strings, that a [`Command`] may have.
pub(crate) const MAX_STRINGS: usize = 9;

/// What a helper is run with, and what is to be dropped when it has ended.
///
/// The strings are asked for once, when the value has reached the place where it stays until the
/// end. That is when the helper has exited, or, for one that is not waited for, when it has been
/// executed: [`ended`](Self::ended) is called then, in the task of the caller if that still waits,
/// else in a kernel worker or in the helper's own task. Either may sleep and holds no locks, but
/// the caller's. A command that is never handed to the kernel is only dropped.
pub(crate) trait Command: Send + Sync + 'static {
    /// The program.
    fn path(&self) -> &CStr;

    /// Its arguments, of which the first is its name; at most [`MAX_STRINGS`].
    fn args(&self) -> impl Iterator<Item = &CStr>;

    /// Its environment; at most [`MAX_STRINGS`].
    fn env(&self) -> impl Iterator<Item = &CStr>;

    /// Called in the helper's own task, before the program is executed.
    ///
    /// If this fails, the program is not executed, and that is how the helper ends.
    ///
    /// Context: may sleep.
    fn starting(&self) -> Result;

    /// Called once, when the helper has ended or could not be started: what [`run`] returns, or
    /// would have if the caller had not been killed.
    ///
    /// Context: may sleep.
    fn ended(this: KBox<Self>, result: Result<WaitStatus>);
}

/// What the caller waits for. Both waits end early when the calling task is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// `UMH_WAIT_EXEC`: until the program has been executed, or could not be.
    Exec,
    /// `UMH_WAIT_PROC`: until the program has exited.
    Exit,
}

/// How a helper ended: a status as wait(2) gives it, never negative.
///
/// `exit(1)` is 256, death by SIGKILL is 9. Not an errno, so there is no conversion to one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitStatus(c_int);

impl WaitStatus {
    /// `exit(0)`.
    pub(crate) const SUCCESS: Self = Self(0);

    /// What the C code has, where a negative number is an errno.
    fn from_raw(raw: c_int) -> Result<Self> {
        if raw < 0 {
            Err(Error::from_errno(raw))
        } else {
            Ok(Self(raw))
        }
    }

    /// Whether it is death by a signal.
    pub(crate) fn is_signal(self) -> bool {
        self.0 & 0x7f != 0
    }

    /// The status as the C code has it.
    pub(crate) fn into_raw(self) -> c_int {
        self.0
    }
}

/// The strings of a helper as C wants them, and the command they belong to.
///
/// # Invariants
///
/// - `argv` and `envp` are ended by a null pointer; what is before it points into `command`, or to
///   something that lives as long.
/// - Two hold a pointer to it: the caller, in [`run`], and the kernel, until it has called
///   [`cleanup`]. The one that finds `left` set is the only one.
struct Invocation<C> {
    argv: [*mut c_char; MAX_STRINGS + 1],
    envp: [*mut c_char; MAX_STRINGS + 1],
    command: KBox<C>,
    /// What the kernel said when it called back. Written before `left` is set, read after.
    retval: c_int,
    /// Whether one of the two has let go.
    left: Atomic<bool>,
}

/// Lets go of `data`. The second to do so gets it.
///
/// # Safety
///
/// `data` is the pointer of one of the two that the invariants of [`Invocation`] speak of, which does
/// not use it again.
unsafe fn let_go<C>(data: *mut Invocation<C>) -> Option<KBox<Invocation<C>>> {
    // ORDERING: What each of the two did with it happens before the second goes on.
    //
    // SAFETY: It is valid until both have let go, of which the caller is one.
    if unsafe { (*data).left.xchg(true, Full) } {
        // INVARIANT: The other has let go.
        // SAFETY: From `into_raw()`, and by the requirement nobody else uses it.
        Some(unsafe { KBox::from_raw(data) })
    } else {
        None
    }
}

/// Runs `command` and waits as `wait` says.
///
/// Returns the wait status of the program (success, for [`Wait::Exec`], once it has been
/// executed), or
///
/// - [`ENOMEM`],
/// - [`E2BIG`] for more than [`MAX_STRINGS`] strings,
/// - [`ERESTARTSYS`] if the calling task was killed: the helper runs on,
/// - [`EBUSY`] if helpers are disabled (early boot, suspend),
/// - what execve(2) said if the program could not be executed.
///
/// `on_stack` proves that the module cannot be unloaded during the call.
///
/// With CONFIG_STATIC_USERMODEHELPER the kernel may run another program, or none and say success.
///
/// Context: may sleep. See `call_usermodehelper_exec()`.
pub(crate) fn run<C: Command>(
    command: KBox<C>,
    wait: Wait,
    on_stack: &OnStack<'_>,
) -> Result<WaitStatus> {
    let mut invocation = KBox::init(
        init!(Invocation {
            argv: [ptr::null_mut(); MAX_STRINGS + 1],
            envp: [ptr::null_mut(); MAX_STRINGS + 1],
            command,
            retval: 0,
            left: Atomic::new(false),
        }),
        GFP_KERNEL,
    )?;

    // INVARIANT: `fill` leaves the last pointer alone. The strings are those of `command`, which
    // is neither moved out of its box nor changed before it is dropped.
    let Invocation {
        argv,
        envp,
        command,
        ..
    } = &mut *invocation;
    fill(argv, command.args())?;
    fill(envp, command.env())?;
    let path = command.path().as_char_ptr();

    let data = KBox::into_raw(invocation);

    // SAFETY: `data` comes from a box just now; only the address of the two fields is taken.
    let (argv, envp) = unsafe { (&raw mut (*data).argv, &raw mut (*data).envp) };

    // SAFETY: `path`, `argv` and `envp` are valid until `cleanup` is called, which is the last
    // thing that the kernel does with them. `data` is what the two callbacks expect.
    let info = unsafe {
        bindings::call_usermodehelper_setup(
            path,
            argv.cast(),
            envp.cast(),
            bindings::GFP_KERNEL,
            Some(init::<C>),
            Some(cleanup::<C>),
            data.cast(),
        )
    };
    if info.is_null() {
        // SAFETY: From `into_raw` above; nothing was set up that could call `cleanup`.
        drop(unsafe { KBox::from_raw(data) });
        return Err(ENOMEM);
    }

    // The callback may come after the caller has been killed and has returned. It puts this.
    on_stack.get_module();

    let wait = match wait {
        Wait::Exec => bindings::UMH_WAIT_EXEC,
        Wait::Exit => bindings::UMH_WAIT_PROC,
    } | bindings::UMH_KILLABLE;

    // SAFETY: `info` was set up above and is executed once. It is freed by the callee, in whatever
    // way that ends, and `cleanup` called before.
    // CAST: The flags are small.
    let ret = unsafe { bindings::call_usermodehelper_exec(info, wait as c_int) };
    let result = WaitStatus::from_raw(ret);

    // SAFETY: This is the caller's pointer; `cleanup` has the other.
    if let Some(invocation) = unsafe { let_go(data) } {
        // A caller that was killed does not know how the helper ended; the kernel does. A caller
        // that was not knows more: that helpers are disabled, where the kernel says 0.
        let known = match result {
            Err(ERESTARTSYS) => WaitStatus::from_raw(invocation.retval),
            result => result,
        };
        end(invocation, known);
    }

    result
}

/// Waits until no callback of a helper is in the text of this module any more.
///
/// For module exit. Its reference is given back by the callback itself, a few instructions before
/// that returns.
///
/// Context: may sleep.
pub(crate) fn wait_for_callbacks() {
    // A callback that has put the module does not sleep before it has returned, nor does it take a
    // lock, which is sleeping with PREEMPT_RT. So it is gone once each task has been seen sleeping
    // or in user space.
    //
    // SAFETY: May be called from process context.
    unsafe { bindings::synchronize_rcu_tasks() };
}

/// Writes the addresses of `strings` to `pointers`, of which the last stays as it is.
fn fill<'a>(
    pointers: &mut [*mut c_char; MAX_STRINGS + 1],
    strings: impl Iterator<Item = &'a CStr>,
) -> Result {
    let mut room = pointers[..MAX_STRINGS].iter_mut();
    for string in strings {
        // The kernel copies the strings, it does not write to them.
        *room.next().ok_or(E2BIG)? = string.as_char_ptr().cast_mut();
    }
    Ok(())
}

/// Tells the command how its helper ended.
#[inline(never)]
fn end<C: Command>(invocation: KBox<Invocation<C>>, result: Result<WaitStatus>) {
    C::ended(KBox::into_inner(invocation).command, result);
}

/// Tells the command that its helper is about to execute the program.
///
/// # Safety
///
/// `info.data` is a pointer that [`run::<C>`] made and nothing has freed.
unsafe extern "C" fn init<C: Command>(
    info: *mut bindings::subprocess_info,
    _new: *mut bindings::cred,
) -> c_int {
    // SAFETY: By the requirement. It is only read until `cleanup`, which comes later.
    let invocation = unsafe { &*(*info).data.cast::<Invocation<C>>() };

    match invocation.command.starting() {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Lets go of the command of a helper that has ended.
///
/// # Safety
///
/// `info.data` is a pointer that [`run::<C>`] made and nothing has freed.
unsafe extern "C" fn cleanup<C: Command>(info: *mut bindings::subprocess_info) {
    // SAFETY: By the requirement. The kernel uses the strings no more, and `retval` is written here
    // only, before the caller reads it, which is after `let_go`.
    let data = unsafe {
        let data = (*info).data.cast::<Invocation<C>>();
        (*data).retval = (*info).retval;
        data
    };

    // SAFETY: This is the kernel's pointer; the caller has the other.
    if let Some(invocation) = unsafe { let_go(data) } {
        // The caller was killed, so the helper was started, or failed to be.
        let result = WaitStatus::from_raw(invocation.retval);
        end(invocation, result);
    }

    // The last act: from here on the module may be unloaded, see `wait_for_callbacks()`.
    //
    // SAFETY: `run()` has taken this reference.
    unsafe { bindings::module_put(module::this()) };
}

#[kunit_tests(kmod_rs_usermode_helper)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_in_a_null_pointer() -> Result {
        let mut pointers = [ptr::null_mut(); MAX_STRINGS + 1];
        let strings = [c"one", c"two"];
        fill(&mut pointers, strings.into_iter())?;
        assert!(pointers[0].cast_const() == strings[0].as_char_ptr());
        assert!(pointers[1].cast_const() == strings[1].as_char_ptr());
        assert!(pointers[2..].iter().all(|pointer| pointer.is_null()));
        Ok(())
    }

    #[test]
    fn as_many_strings_as_there_may_be() -> Result {
        let mut pointers = [ptr::null_mut(); MAX_STRINGS + 1];
        fill(&mut pointers, [c"x"; MAX_STRINGS].into_iter())?;
        assert!(pointers[MAX_STRINGS].is_null());
        Ok(())
    }

    #[test]
    fn one_string_too_many() -> Result {
        let mut pointers = [ptr::null_mut(); MAX_STRINGS + 1];
        let result = fill(&mut pointers, [c"x"; MAX_STRINGS + 1].into_iter());
        assert!(result == Err(E2BIG));
        assert!(pointers[MAX_STRINGS].is_null());
        Ok(())
    }
}
