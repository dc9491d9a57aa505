// SPDX-License-Identifier: GPL-2.0

//! The functions that the current task is in.
//!
//! C header: [`include/linux/stacktrace.h`](srctree/include/linux/stacktrace.h)

use kernel::{
    ffi::{
        c_char,
        c_uint,
        c_ulong, //
    },
    prelude::*, //
};

extern "C" {
    /// See `kernel/stacktrace.c`; `bindings` does not have it.
    fn stack_trace_save(store: *mut c_ulong, size: c_uint, skip: c_uint) -> c_uint;

    /// See requester.c.
    fn kmod_rs_symbol(buffer: *mut c_char, size: usize, address: c_ulong);
}

/// How many functions a trace can have. A kernel stack has room for more only if they are small.
const MAX_FUNCTIONS: usize = 128;

/// How many bytes the text for one function can have, the final NUL included. The kernel needs less
/// (`KSYM_SYMBOL_LEN`).
const TEXT_LEN: usize = 1024;

/// A function, by its name.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    /// The name of the function; its address if it has no name.
    pub(crate) name: &'a [u8],
    /// The module that the function is in; [`None`] if it is in none.
    pub(crate) module: Option<&'a [u8]>,
}

impl<'a> Function<'a> {
    /// Reads what `%pS` prints: `NAME+OFFSET/SIZE [MODULE]`, or without the last part.
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        let (symbol, module) = match text.iter().position(|byte| *byte == b' ') {
            Some(blank) => (
                &text[..blank],
                text[blank + 1..]
                    .strip_prefix(b"[")
                    .and_then(|module| module.strip_suffix(b"]")),
            ),
            None => (text, None),
        };
        Self {
            name: symbol.split(|byte| *byte == b'+').next().unwrap_or(symbol),
            module,
        }
    }
}

/// The functions that the current task is in, the innermost first.
pub(crate) struct StackTrace(KVec<c_ulong>);

impl StackTrace {
    /// Takes a trace of the current task.
    ///
    /// The trace may end too early if the kernel cannot find its way on the stack.
    ///
    /// Returns [`ENOMEM`], or [`E2BIG`] if there are too many functions.
    ///
    /// Context: with a task; may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn current() -> Result<Self> {
        let mut addresses = KVec::from_elem(0, MAX_FUNCTIONS, GFP_KERNEL)?;

        // CAST: A small number.
        let size = MAX_FUNCTIONS as c_uint;
        // SAFETY: The buffer is valid for writes of that many numbers.
        let count = unsafe { stack_trace_save(addresses.as_mut_ptr(), size, 0) };
        // CAST: A `usize` is at least as wide.
        let count = count as usize;
        if count >= MAX_FUNCTIONS {
            return Err(E2BIG);
        }
        addresses.truncate(count);
        Ok(Self(addresses))
    }

    /// Calls `f` with each function.
    ///
    /// Returns [`ENOMEM`], or [`E2BIG`] if a text is too long.
    ///
    /// Context: may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn for_each(&self, mut f: impl FnMut(Function<'_>)) -> Result {
        let mut text = KVec::from_elem(0u8, TEXT_LEN, GFP_KERNEL)?;

        for address in &self.0 {
            // A call that does not return may be the last instruction of its function. The address
            // behind it is in the next function then.
            //
            // SAFETY: The buffer is valid for writes of `TEXT_LEN` bytes.
            unsafe { kmod_rs_symbol(text.as_mut_ptr().cast(), TEXT_LEN, address.wrapping_sub(1)) };

            let length = text.iter().position(|byte| *byte == 0).ok_or(E2BIG)?;
            if length + 1 >= TEXT_LEN {
                return Err(E2BIG);
            }
            f(Function::parse(&text[..length]));
        }
        Ok(())
    }
}

#[kunit_tests(kmod_rs_stack_trace)]
mod tests {
    use super::*;

    #[test]
    fn a_function_may_be_in_a_module() -> Result {
        let function = Function::parse(b"f+0x1/0x2 [m]");
        assert!(function.name == b"f" && function.module == Some(&b"m"[..]));
        let function = Function::parse(b"f+0x1/0x2");
        assert!(function.name == b"f" && function.module.is_none());
        let function = Function::parse(b"0xffffffffc0000000");
        assert!(function.name == b"0xffffffffc0000000" && function.module.is_none());
        assert!(Function::parse(b"").name.is_empty());
        Ok(())
    }

    #[test]
    fn a_test_is_in_this_module_and_in_a_thread() -> Result {
        let (mut ours, mut threads) = (0, 0);
        StackTrace::current()?.for_each(|function| {
            ours += i32::from(function.module == Some(b"kmod_rs"));
            threads += i32::from(function.name == b"kthread" && function.module.is_none());
        })?;
        assert!(ours >= 1);
        assert_eq!(threads, 1);
        Ok(())
    }
}
