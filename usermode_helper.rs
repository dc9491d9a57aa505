// SPDX-License-Identifier: GPL-2.0

//! Runs a program in user space.
//!
//! The `kernel` crate has no usermode helper. Using one safely is difficult because the caller may
//! be killed while the helper runs on: the kernel then still reads the path and the arguments, and
//! calls back, after the caller has returned. So they belong to a [`Command`] on the heap, which is
//! dropped when nothing can read it any more, and each helper in flight has a reference on the
//! module that the callback is in.
//!
//! Two know how a helper ended: the caller, if it waits and is still there, and the callback at the
//! end, [`cleanup`]. The kernel tells the callback 0 if helpers are disabled and none was started.
//! So the one of the two that comes last, and has both answers, tells the command.
//!
//! C headers: [`include/linux/umh.h`](srctree/include/linux/umh.h),
//! [`include/linux/kmod.h`](srctree/include/linux/kmod.h)

use crate::wrappers::module::{
    self,
    Held,
    Reference, //
};
use core::{
    iter,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr, //
};
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

/// How many arguments a [`Command`] may have at most.
const MAX_ARGS: usize = 5;

/// How many environment strings a [`Command`] may have at most.
const MAX_ENV: usize = 10;

/// The environment of a helper, unless its [`Command`] has another one: that of the C code.
pub(crate) const ENVIRONMENT: [&CStr; 3] = [
    c"HOME=/",
    c"TERM=linux",
    c"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
];

/// The addresses of strings, and a null pointer.
struct Pointers<const N: usize>([*mut c_char; N]);

/// The addresses of [`ENVIRONMENT`].
#[expect(clippy::disallowed_methods, reason = "as_char_ptr() is not const")]
static ENVIRONMENT_POINTERS: Pointers<{ ENVIRONMENT.len() + 1 }> = Pointers([
    ENVIRONMENT[0].as_ptr().cast_mut().cast(),
    ENVIRONMENT[1].as_ptr().cast_mut().cast(),
    ENVIRONMENT[2].as_ptr().cast_mut().cast(),
    ptr::null_mut(),
]);

// SAFETY: The pointers are used by the kernel only, to read strings that do not change as long as
// it may read them.
unsafe impl<const N: usize> Send for Pointers<N> {}

// SAFETY: As above.
unsafe impl<const N: usize> Sync for Pointers<N> {}

/// A program to run, and what is to be dropped when it has ended.
///
/// [`run`] or [`start`] asks for the strings once, and the kernel reads them until the helper has
/// ended: it has exited or, with [`Wait::Exec`] or [`start`], it has been executed. Then
/// [`ended`](Self::ended) is called, in the caller's task if the caller still waits, otherwise in a
/// kernel worker or in the helper's own task. The latter two hold no locks.
///
/// A command that cannot be handed to the kernel is dropped without that.
pub(crate) trait Command: Send + Sync + 'static {
    /// What [`run`] returns when the helper has ended.
    type Ending;

    /// Returns the path of the program.
    fn path(&self) -> &CStr;

    /// Returns the arguments, at most [`MAX_ARGS`]. The first one is the name of the program.
    fn args(&self) -> impl Iterator<Item = &CStr>;

    /// Returns the environment, at most [`MAX_ENV`] strings, if it is not [`ENVIRONMENT`].
    fn env(&self) -> Option<impl Iterator<Item = &CStr>> {
        None::<iter::Empty<&CStr>>
    }

    /// Called in the helper's own task, before the program is executed.
    ///
    /// If this fails, the program is not executed, and the helper ends with this error.
    ///
    /// Context: may sleep.
    fn starting(&self) -> Result;

    /// Called when the helper has ended, or could not be started.
    ///
    /// `result` is the wait status of the program, which for [`Wait::Exec`] and [`start`] is
    /// success if the program was executed, or why there is none:
    ///
    /// - [`ENOMEM`],
    /// - [`EBUSY`] if helpers are disabled (early boot, suspend),
    /// - what [`Command::starting`] returned if it failed,
    /// - what fork(2) or execve(2) would return if the process could not be created or the program
    ///   could not be executed.
    ///
    /// Context: may sleep.
    fn ended(this: KBox<Invocation<Self>>, result: Result<WaitStatus>) -> Self::Ending
    where
        Self: Sized;
}

/// What the caller waits for. The wait ends early if the caller is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// `UMH_WAIT_EXEC`: until the program has been executed, or could not be.
    Exec,
    /// `UMH_WAIT_PROC`: until the program has exited.
    Exit,
}

/// How a program ended: a status as in wait(2), which is never negative.
///
/// `exit(1)` is 256, and death by SIGKILL is 9. This is no errno, so there is no conversion to one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitStatus(c_int);

impl WaitStatus {
    /// `exit(0)`.
    pub(crate) const SUCCESS: Self = Self(0);

    /// `exit(1)`: that of a modprobe that has not found the module.
    pub(crate) const NOT_FOUND: Self = Self(1 << 8);

    /// Converts a number of the C code, where a negative number is an errno.
    pub(crate) fn from_raw(raw: c_int) -> Result<Self> {
        if raw < 0 {
            Err(Error::from_errno(raw))
        } else {
            Ok(Self(raw))
        }
    }

    /// Returns whether a signal killed the program.
    pub(crate) fn is_signal(self) -> bool {
        self.0 & 0x7f != 0
    }

    /// Returns the number of the C code.
    pub(crate) fn into_raw(self) -> c_int {
        self.0
    }
}

/// A command, in one piece of memory with what the kernel needs to run it.
///
/// # Invariants
///
/// - `argv` and `envp`, if there is one, end with a null pointer.
/// - From when the kernel knows of it until [`Command::ended`] is called, or the kernel has given it
///   back, the pointers before that point to strings that are valid, and two have a pointer to it,
///   which is from [`KBox::into_raw`]: the caller, in [`run`] or [`start`], and the kernel, until
///   [`cleanup`]. Each lets go of it once, and it is valid until both have. `left` says whether one
///   of them has.
pub(crate) struct Invocation<C> {
    argv: Pointers<{ MAX_ARGS + 1 }>,
    /// [`None`] if the environment is [`ENVIRONMENT`].
    envp: Option<KBox<Pointers<{ MAX_ENV + 1 }>>>,
    command: C,
    /// How the helper ended, as the kernel told [`cleanup`]. Written before [`cleanup`] lets go,
    /// and read when both have.
    retval: c_int,
    /// Whether one of the two has let go.
    left: Atomic<bool>,
}

impl<const N: usize> Pointers<N> {
    /// Returns null pointers.
    const fn new() -> Self {
        Self([ptr::null_mut(); N])
    }

    /// Writes the addresses of `strings`, but leaves the last pointer alone.
    ///
    /// Returns [`E2BIG`] if there are too many.
    fn fill<'a>(&mut self, strings: impl Iterator<Item = &'a CStr>) -> Result {
        let mut room = self.0[..N - 1].iter_mut();
        for string in strings {
            // The kernel copies the strings, and does not write to them.
            *room.next().ok_or(E2BIG)? = string.as_char_ptr().cast_mut();
        }
        // There may have been more strings before.
        room.for_each(|pointer| *pointer = ptr::null_mut());
        Ok(())
    }
}

impl<C: Command> Invocation<C> {
    /// Creates an initialiser for a command that was not run.
    pub(crate) fn new(command: impl Init<C>) -> impl Init<Self> {
        // INVARIANT: All pointers are null, and the kernel does not know of it.
        init!(Self {
            argv: Pointers::new(),
            envp: None,
            command <- command,
            retval: 0,
            left: Atomic::new(false),
        })
    }
}

impl<C> Deref for Invocation<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.command
    }
}

// Whoever has such a reference has the box: the kernel does not know of the command, or has let go
// of it. So nobody reads the strings.
impl<C> DerefMut for Invocation<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.command
    }
}

/// Lets go of `data`; the second one to do so gets it.
///
/// # Safety
///
/// The caller of this function has one of the two pointers that the invariants of [`Invocation`]
/// speak of, has not let go before, and does not use the pointer again.
unsafe fn let_go<C>(data: *mut Invocation<C>) -> Option<KBox<Invocation<C>>> {
    // ORDERING: What each of the two did with `data` happens before the second one goes on.
    //
    // SAFETY: By the requirement one of the two has not let go yet, so `data` is valid by the type
    // invariants of `Invocation`.
    if unsafe { (*data).left.xchg(true, Full) } {
        // SAFETY: `left` was set, so the other one has let go, too, and by the requirement neither
        // uses `data` again. By the type invariants it is from `KBox::into_raw()`.
        Some(unsafe { KBox::from_raw(data) })
    } else {
        None
    }
}

/// Runs `command` and waits as `wait` says.
///
/// Returns what [`Command::ended`] returns, or
///
/// - [`ENOMEM`],
/// - [`E2BIG`] for too many strings,
/// - [`ERESTARTSYS`] if the caller was killed: the helper runs on.
///
/// `held` proves that the module is not unloaded during the call.
///
/// With CONFIG_STATIC_USERMODEHELPER the kernel may run another program, or none and report
/// success.
///
/// Context: may sleep. See `call_usermodehelper_exec()`.
pub(crate) fn run<C: Command>(
    command: KBox<Invocation<C>>,
    wait: Wait,
    held: &impl Held,
) -> Result<C::Ending> {
    let wait = match wait {
        Wait::Exec => bindings::UMH_WAIT_EXEC,
        Wait::Exit => bindings::UMH_WAIT_PROC,
    } | bindings::UMH_KILLABLE;
    let (data, info) = set_up(command)?;

    // `cleanup()`, which puts this reference, may run after the caller was killed and has returned.
    held.get_module();

    // SAFETY: `info` comes from `set_up()`, and is not used again. The callee calls `cleanup()`
    // once and frees `info`, in whatever way this ends.
    //
    // CAST: The flags are small.
    let ret = unsafe { bindings::call_usermodehelper_exec(info, wait as c_int) };
    let result = WaitStatus::from_raw(ret);

    // SAFETY: This is the caller's pointer, which is not used again. `cleanup()` has the other one.
    let ending = unsafe { let_go(data) }.map(|invocation| {
        // If the caller was killed, only the kernel knows how the helper ended. Otherwise the
        // caller knows more: if helpers are disabled, it has -EBUSY, and the kernel 0.
        let known = match result {
            Err(ERESTARTSYS) => WaitStatus::from_raw(invocation.retval),
            result => result,
        };
        C::ended(invocation, known)
    });

    // A caller that was not killed is the last to let go: the kernel calls `cleanup()` first.
    match (result, ending) {
        (Err(ERESTARTSYS), _) | (_, None) => Err(ERESTARTSYS),
        (_, Some(ending)) => Ok(ending),
    }
}

/// Why [`start`] has not started a helper.
pub(crate) enum NotStarted<C> {
    /// Helpers are disabled (early boot, suspend). This is the command.
    Disabled(KBox<Invocation<C>>),
    /// [`ENOMEM`], or [`E2BIG`] for too many strings.
    Failed(Error),
}

/// Starts `command` and does not wait for anything: `UMH_NO_WAIT`.
///
/// After `Ok`, [`Command::ended`] is called, or has been.
///
/// `reference` proves that the module is not unloaded during the call.
///
/// As for CONFIG_STATIC_USERMODEHELPER, see [`run`].
///
/// Context: may sleep. See `call_usermodehelper_exec()`.
pub(crate) fn start<C: Command>(
    command: KBox<Invocation<C>>,
    reference: &Reference,
) -> Result<(), NotStarted<C>> {
    let (data, info) = set_up(command).map_err(NotStarted::Failed)?;

    // `cleanup()`, which puts this reference, usually runs after this function has returned.
    reference.get_module();

    // SAFETY: As in `run()`.
    //
    // CAST: The flag is small.
    let ret = unsafe { bindings::call_usermodehelper_exec(info, bindings::UMH_NO_WAIT as c_int) };

    // SAFETY: This is the caller's pointer, which is not used again. `cleanup()` has the other one.
    let Some(invocation) = (unsafe { let_go(data) }) else {
        return Ok(());
    };
    match WaitStatus::from_raw(ret) {
        // The kernel has called `cleanup()`, but neither of the other two functions.
        Err(EBUSY) => return Err(NotStarted::Disabled(invocation)),
        Err(error) => C::ended(invocation, Err(error)),
        // The helper has ended already, and only the kernel knows how.
        Ok(_) => {
            let known = WaitStatus::from_raw(invocation.retval);
            C::ended(invocation, known)
        }
    };
    Ok(())
}

/// Prepares a command for the kernel. Returns the caller's pointer to it, and what
/// `call_usermodehelper_exec()` takes.
///
/// Returns [`ENOMEM`], or [`E2BIG`] for too many strings.
#[inline(never)]
fn set_up<C: Command>(
    mut invocation: KBox<Invocation<C>>,
) -> Result<(*mut Invocation<C>, *mut bindings::subprocess_info)> {
    // INVARIANT: `fill()` leaves the last pointer alone, which is null. If it was given back by the
    // kernel, nobody has let go. The strings are static, or borrowed from `command`, which is neither
    // changed nor moved before it is given to `Command::ended()` or dropped, or before the kernel has
    // given it back.
    let Invocation {
        argv,
        envp,
        command,
        left,
        ..
    } = &mut *invocation;
    argv.fill(command.args())?;
    *envp = match command.env() {
        None => None,
        Some(strings) => {
            let mut pointers = KBox::new(Pointers::new(), GFP_KERNEL)?;
            pointers.fill(strings)?;
            Some(pointers)
        }
    };
    let envp = match envp {
        None => ENVIRONMENT_POINTERS.0.as_ptr().cast_mut(),
        Some(pointers) => pointers.0.as_mut_ptr(),
    };
    *left = Atomic::new(false);
    let path = command.path().as_char_ptr();

    let data = KBox::into_raw(invocation);

    // SAFETY: `data` was made from a box just now. Only the address of the field is taken.
    let argv = unsafe { &raw mut (*data).argv };

    // SAFETY: `path`, `argv` and `envp` are valid until the kernel has called `cleanup()`, by the
    // type invariants of `Invocation`, and the kernel does not use them afterwards. It only reads
    // them: copy_strings_kernel() takes `const char *const *`. `data` is what `init()` and
    // `cleanup()` require.
    let info = unsafe {
        bindings::call_usermodehelper_setup(
            path,
            argv.cast(),
            envp,
            bindings::GFP_KERNEL,
            Some(init::<C>),
            Some(cleanup::<C>),
            data.cast(),
        )
    };
    if info.is_null() {
        // SAFETY: `data` comes from `into_raw()` above, and the kernel has no pointer to it.
        drop(unsafe { KBox::from_raw(data) });
        return Err(ENOMEM);
    }
    Ok((data, info))
}

/// Tells the command that its program is about to be executed.
///
/// Context: called by the kernel, in the helper's own task; may sleep.
///
/// # Safety
///
/// `info` is valid, and `info.data` is the kernel's pointer to an `Invocation<C>`, of which it has
/// not let go.
unsafe extern "C" fn init<C: Command>(
    info: *mut bindings::subprocess_info,
    _new: *mut bindings::cred,
) -> c_int {
    // SAFETY: By the requirement, and the type invariants of `Invocation`. The kernel lets go
    // later, in `cleanup()`. Until then, only `left` may change, which is atomic.
    let invocation = unsafe { &*(*info).data.cast::<Invocation<C>>() };

    match invocation.command.starting() {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Lets go of the command when the kernel has no more use for it.
///
/// Context: called by the kernel once, in the caller's task, in a worker or in the helper's own
/// task; may sleep.
///
/// # Safety
///
/// `info` is valid, and `info.data` is the kernel's pointer to an `Invocation<C>`, of which it has
/// not let go and which it does not use again.
unsafe extern "C" fn cleanup<C: Command>(info: *mut bindings::subprocess_info) {
    // SAFETY: By the requirement, and the type invariants of `Invocation`. Only this function
    // writes to `retval`, and nobody reads it before both have let go.
    let data = unsafe {
        let data = (*info).data.cast::<Invocation<C>>();
        (*data).retval = (*info).retval;
        data
    };

    // SAFETY: This is the kernel's pointer, which by the requirement is not used again.
    if let Some(invocation) = unsafe { let_go(data) } {
        // The caller was killed or did not wait, and has returned. So helpers were not disabled:
        // the kernel knows how this one ended.
        let result = WaitStatus::from_raw(invocation.retval);
        C::ended(invocation, result);
    }

    // The last act: from here on the module may be unloaded, see `wait_for_last_acts()`.
    //
    // SAFETY: The module is valid, because `run()` or `start()` has taken the reference that is put
    // here.
    unsafe { bindings::module_put(module::this()) };
}

#[kunit_tests(kmod_rs_usermode_helper)]
mod tests {
    use super::*;

    const ROOM: usize = 3;

    #[test]
    fn strings_end_in_a_null_pointer() -> Result {
        let mut pointers = Pointers::<{ ROOM + 1 }>::new();
        let strings = [c"one", c"two"];
        pointers.fill([c"x"; ROOM].into_iter())?;
        pointers.fill(strings.into_iter())?;
        assert!(pointers.0[0].cast_const() == strings[0].as_char_ptr());
        assert!(pointers.0[1].cast_const() == strings[1].as_char_ptr());
        assert!(pointers.0[2..].iter().all(|pointer| pointer.is_null()));
        Ok(())
    }

    #[test]
    fn as_many_strings_as_there_may_be() -> Result {
        let mut pointers = Pointers::<{ ROOM + 1 }>::new();
        pointers.fill([c"x"; ROOM].into_iter())?;
        assert!(pointers.0[ROOM].is_null());
        Ok(())
    }

    #[test]
    fn one_string_too_many() -> Result {
        let mut pointers = Pointers::<{ ROOM + 1 }>::new();
        let result = pointers.fill([c"x"; ROOM + 1].into_iter());
        assert!(result == Err(E2BIG));
        assert!(pointers.0[ROOM].is_null());
        Ok(())
    }
}
