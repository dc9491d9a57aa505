// SPDX-License-Identifier: GPL-2.0

//! What sharing.rs uses of the `pin_init` crate. Nothing needs to be pinned here.

use kernel::init::PinInit;

/// Makes an array from what the closure returns for each index.
pub fn pin_init_array_from_fn<I: PinInit<T>, const N: usize, T>(
    make_init: impl Fn(usize) -> I,
) -> impl PinInit<[T; N]> {
    move || std::array::from_fn(|i| make_init(i).init())
}
