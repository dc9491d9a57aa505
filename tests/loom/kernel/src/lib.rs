// SPDX-License-Identifier: GPL-2.0

//! What concurrency.rs, lending.rs, sharing.rs and unwaiting.rs use of the `kernel` crate, on loom.
//!
//! Locks and atomics are loom's, so that loom can try all orders of what tasks do to them. Memory
//! never runs out, and the clock stands still unless a test moves it.

/// Failed allocations, which do not happen here.
pub mod alloc {
    /// No memory.
    #[derive(Debug)]
    pub struct AllocError;

    /// How to allocate.
    pub struct Flags;
}

/// Initialisers are closures, because nothing needs to be pinned.
pub mod init {
    use crate::{
        alloc::Flags,
        error::Error, //
    };
    use std::{
        pin::Pin,
        sync::Arc, //
    };

    /// Makes a `T`.
    pub trait PinInit<T> {
        /// Makes it.
        fn init(self) -> T;
    }

    impl<T, F: FnOnce() -> T> PinInit<T> for F {
        fn init(self) -> T {
            self()
        }
    }

    /// `Arc::pin_init()`.
    pub trait InPlaceInit<T>: Sized {
        /// Makes a `T` on the heap.
        fn pin_init(init: impl PinInit<T>, flags: Flags) -> Result<Self, Error>;
    }

    /// `KBox::pin_init()`.
    pub trait BoxInit<T>: Sized {
        /// Makes a `T` on the heap.
        fn pin_init(init: impl PinInit<T>, flags: Flags) -> Result<Pin<Box<T>>, Error>;
    }

    impl<T> BoxInit<T> for Box<T> {
        fn pin_init(init: impl PinInit<T>, _flags: Flags) -> Result<Pin<Box<T>>, Error> {
            Ok(Box::pin(init.init()))
        }
    }

    impl<T> InPlaceInit<T> for Arc<T> {
        fn pin_init(init: impl PinInit<T>, _flags: Flags) -> Result<Self, Error> {
            Ok(Arc::new(init.init()))
        }
    }
}

/// Takes `field: value`, `field` and `field <- initialiser`.
#[macro_export]
macro_rules! pin_init {
    (@fields $type:ident [$($done:tt)*]) => {
        move || $type { $($done)* }
    };
    (@fields $type:ident [$($done:tt)*] $field:ident : $value:expr, $($rest:tt)*) => {
        $crate::pin_init!(@fields $type [$($done)* $field: $value,] $($rest)*)
    };
    (@fields $type:ident [$($done:tt)*] $field:ident <- $init:expr, $($rest:tt)*) => {
        $crate::pin_init!(@fields $type
            [$($done)* $field: $crate::init::PinInit::init($init),] $($rest)*)
    };
    (@fields $type:ident [$($done:tt)*] $field:ident, $($rest:tt)*) => {
        $crate::pin_init!(@fields $type [$($done)* $field,] $($rest)*)
    };
    ($type:ident { $($fields:tt)* }) => {
        $crate::pin_init!(@fields $type [] $($fields)*)
    };
}

/// A lock around a value.
#[macro_export]
macro_rules! new_spinlock {
    ($value:expr, $name:expr) => {
        || $crate::sync::SpinLock::new($value)
    };
}

/// Why something failed.
pub mod error {
    use crate::alloc::AllocError;

    /// An errno.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Error(pub i32);

    impl From<AllocError> for Error {
        fn from(_: AllocError) -> Self {
            Self(-12)
        }
    }

    /// The result of most functions.
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
}

/// What every file has in scope.
pub mod prelude {
    pub use crate::error::{
        Error,
        Result, //
    };
    pub use crate::init::{
        BoxInit,
        InPlaceInit,
        PinInit, //
    };
    pub use crate::pin_init;
    pub use macros::{
        kunit_tests,
        pin_data, //
    };

    pub use std::{
        boxed::Box as KBox,
        pin::Pin, //
    };

    /// No such process.
    pub const ESRCH: Error = Error(-3);

    /// Allocations may sleep.
    pub const GFP_KERNEL: crate::alloc::Flags = crate::alloc::Flags;
}

/// An ordered map in place of the red-black tree.
pub mod rbtree {
    use crate::{
        alloc::Flags,
        error::Error, //
    };
    use std::{
        collections::BTreeMap,
        marker::PhantomData, //
    };

    /// The tree.
    pub struct RBTree<K, V>(BTreeMap<K, V>);

    /// Memory for a node.
    pub struct RBTreeNodeReservation<K, V>(PhantomData<(K, V)>);

    /// A node outside of the tree.
    pub struct RBTreeNode<K, V>(K, V);

    /// A place in the tree.
    pub struct Cursor<'a, K, V>(&'a K, &'a V);

    /// A place in the tree, whose node can be taken out. Here it is always the first place.
    pub struct CursorMut<'a, K, V>(&'a mut BTreeMap<K, V>);

    impl<K, V> RBTreeNodeReservation<K, V> {
        /// Allocates.
        pub fn new(_flags: Flags) -> Result<Self, Error> {
            Ok(Self(PhantomData))
        }

        /// Fills the node.
        pub fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
            RBTreeNode(key, value)
        }
    }

    impl<K, V> RBTreeNode<K, V> {
        /// Empties the node.
        pub fn to_key_value(self) -> (K, V) {
            (self.0, self.1)
        }

        /// Empties the node, to be filled again.
        pub fn into_reservation(self) -> RBTreeNodeReservation<K, V> {
            RBTreeNodeReservation(PhantomData)
        }
    }

    impl<K: Ord, V> Default for RBTree<K, V> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<K: Ord, V> RBTree<K, V> {
        /// An empty tree.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Self {
            Self(BTreeMap::new())
        }

        /// Inserts a node.
        pub fn insert(&mut self, node: RBTreeNode<K, V>) {
            assert!(self.0.insert(node.0, node.1).is_none());
        }

        /// Removes a key.
        pub fn remove(&mut self, key: &K) -> Option<V> {
            self.0.remove(key)
        }

        /// Takes a node out.
        pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
            let (key, value) = self.0.remove_entry(key)?;
            Some(RBTreeNode(key, value))
        }

        /// Whether the tree is empty.
        pub fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        /// The value of a key.
        pub fn get(&self, key: &K) -> Option<&V> {
            self.0.get(key)
        }

        /// The value of a key, to be changed.
        pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
            self.0.get_mut(key)
        }

        /// All nodes, in the order of their keys.
        pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
            self.0.iter()
        }

        /// All keys, in their order.
        pub fn keys(&self) -> impl Iterator<Item = &K> {
            self.0.keys()
        }

        /// All values, in the order of their keys.
        pub fn values(&self) -> impl Iterator<Item = &V> {
            self.0.values()
        }

        /// The first node, to be changed.
        pub fn cursor_front_mut(&mut self) -> Option<CursorMut<'_, K, V>> {
            match self.0.is_empty() {
                true => None,
                false => Some(CursorMut(&mut self.0)),
            }
        }

        /// The first node.
        pub fn cursor_front(&self) -> Option<Cursor<'_, K, V>> {
            self.0.iter().next().map(|(k, v)| Cursor(k, v))
        }

        /// The first node that is not before this key.
        pub fn cursor_lower_bound(&self, key: &K) -> Option<Cursor<'_, K, V>> {
            self.0.range(key..).next().map(|(k, v)| Cursor(k, v))
        }
    }

    impl<K: Ord, V> CursorMut<'_, K, V> {
        /// Takes the node out of the tree.
        pub fn remove_current(self) -> (Option<Self>, RBTreeNode<K, V>) {
            let (key, value) = self.0.pop_first().expect("a cursor is at a node");
            (None, RBTreeNode(key, value))
        }
    }

    impl<'a, K, V> Cursor<'a, K, V> {
        /// The node.
        pub fn current(&self) -> (&'a K, &'a V) {
            (self.0, self.1)
        }
    }
}

/// Locks, references and atomics.
pub mod sync {
    pub use std::sync::Arc;

    /// A spinlock, at which loom switches tasks.
    pub struct SpinLock<T>(loom::sync::Mutex<T>);

    impl<T> SpinLock<T> {
        /// Unlocked.
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        /// Locks it.
        pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no task panics with the lock held")
        }
    }

    /// Where the guard of a lock is found.
    pub mod lock {
        /// The guard of a spinlock.
        pub mod spinlock {
            /// Unlocks it when dropped.
            pub type SpinLockGuard<'a, T> = loom::sync::MutexGuard<'a, T>;
        }
    }

    /// A value that is set once.
    pub struct SetOnce<T>(loom::sync::Mutex<Option<T>>);

    impl<T: Copy> SetOnce<T> {
        /// Not yet set.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Self {
            Self(loom::sync::Mutex::new(None))
        }

        /// Sets it. Twice is a mistake.
        pub fn populate(&self, value: T) -> bool {
            let before = self.0.lock().expect("no task panics with it").replace(value);
            assert!(before.is_none());
            true
        }

        /// Its value, if it is set.
        pub fn copy(&self) -> Option<T> {
            *self.0.lock().expect("no task panics with it")
        }
    }

    /// Atomics of the kernel's memory model, of which loom knows less. What is `Full` there is
    /// sequentially consistent here.
    pub mod atomic {
        use loom::sync::atomic::{
            AtomicBool,
            AtomicU32,
            AtomicU64,
            Ordering, //
        };

        /// No ordering.
        pub struct Relaxed;

        /// Ordered with everything after it.
        pub struct Acquire;

        /// Ordered with everything before and after it.
        pub struct Full;

        /// Orderings that a load may have.
        pub trait LoadOrdering {
            /// loom's name for it.
            const ORDERING: Ordering;
        }

        impl LoadOrdering for Relaxed {
            const ORDERING: Ordering = Ordering::Relaxed;
        }

        impl LoadOrdering for Acquire {
            const ORDERING: Ordering = Ordering::Acquire;
        }

        /// Numbers that can be atomic.
        pub trait AtomicType: Sized {
            /// Its atomic.
            type Repr;

            /// Makes an atomic with a first value.
            fn atomic(self) -> Self::Repr;

            /// Reads.
            fn load(repr: &Self::Repr, ordering: Ordering) -> Self;

            /// Writes.
            fn store(self, repr: &Self::Repr);

            /// Adds, and returns what was there before.
            fn fetch_add(self, repr: &Self::Repr) -> Self;

            /// Subtracts, and returns what was there before.
            fn fetch_sub(self, repr: &Self::Repr) -> Self;

            /// Replaces `old` by `self`.
            fn replace(self, old: Self, repr: &Self::Repr) -> Result<Self, Self>;
        }

        macro_rules! impl_atomic {
            ($type:ty, $repr:ident) => {
                impl AtomicType for $type {
                    type Repr = $repr;

                    fn atomic(self) -> $repr {
                        $repr::new(self)
                    }

                    fn load(repr: &$repr, ordering: Ordering) -> Self {
                        repr.load(ordering)
                    }

                    fn store(self, repr: &$repr) {
                        repr.store(self, Ordering::Relaxed);
                    }

                    fn fetch_add(self, repr: &$repr) -> Self {
                        repr.fetch_add(self, Ordering::Relaxed)
                    }

                    fn fetch_sub(self, repr: &$repr) -> Self {
                        repr.fetch_sub(self, Ordering::Relaxed)
                    }

                    fn replace(self, old: Self, repr: &$repr) -> Result<Self, Self> {
                        repr.compare_exchange(old, self, Ordering::SeqCst, Ordering::Relaxed)
                    }
                }
            };
        }

        /// An atomic number.
        pub struct Atomic<T: AtomicType>(T::Repr);

        impl<T: AtomicType> Atomic<T> {
            /// Makes an atomic with a first value.
            pub fn new(value: T) -> Self {
                Self(value.atomic())
            }

            /// Reads.
            pub fn load<O: LoadOrdering>(&self, _: O) -> T {
                T::load(&self.0, O::ORDERING)
            }

            /// Writes.
            pub fn store(&self, value: T, _: Relaxed) {
                value.store(&self.0);
            }

            /// Adds.
            pub fn add(&self, value: T, _: Relaxed) {
                value.fetch_add(&self.0);
            }

            /// Adds, and returns what was there before.
            pub fn fetch_add(&self, value: T, _: Relaxed) -> T {
                value.fetch_add(&self.0)
            }

            /// Subtracts, and returns what was there before.
            pub fn fetch_sub(&self, value: T, _: Relaxed) -> T {
                value.fetch_sub(&self.0)
            }

            /// Compares and exchanges.
            pub fn cmpxchg(&self, old: T, new: T, _: Full) -> Result<T, T> {
                new.replace(old, &self.0)
            }
        }

        impl AtomicType for bool {
            type Repr = AtomicBool;

            fn atomic(self) -> AtomicBool {
                AtomicBool::new(self)
            }

            fn load(repr: &AtomicBool, ordering: Ordering) -> Self {
                repr.load(ordering)
            }

            fn store(self, repr: &AtomicBool) {
                repr.store(self, Ordering::Relaxed);
            }

            fn fetch_add(self, _: &AtomicBool) -> Self {
                panic!("a bool is no number")
            }

            fn fetch_sub(self, _: &AtomicBool) -> Self {
                panic!("a bool is no number")
            }

            fn replace(self, old: Self, repr: &AtomicBool) -> Result<Self, Self> {
                repr.compare_exchange(old, self, Ordering::SeqCst, Ordering::Relaxed)
            }
        }

        impl Atomic<bool> {
            /// Exchanges.
            pub fn xchg(&self, value: bool, _: Full) -> bool {
                self.0.swap(value, Ordering::SeqCst)
            }
        }

        impl_atomic!(u32, AtomicU32);
        impl_atomic!(u64, AtomicU64);
    }
}

/// A clock that tests move.
pub mod time {
    use loom::sync::Mutex;
    use std::{
        marker::PhantomData,
        ops::{
            Sub,
            SubAssign, //
        },
    };

    loom::lazy_static! {
        static ref NOW: Mutex<i64> = Mutex::new(0);
    }

    /// Lets time pass.
    pub fn advance(time: Delta) {
        *NOW.lock().expect("no task panics with the clock") += time.0;
    }

    /// The only clock.
    #[derive(Clone, Copy)]
    pub struct Monotonic;

    /// A point in time.
    #[derive(Clone, Copy)]
    pub struct Instant<C>(i64, PhantomData<C>);

    /// A span of time, in nanoseconds.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Delta(i64);

    impl<C> Instant<C> {
        /// The time now.
        pub fn now() -> Self {
            Self(
                *NOW.lock().expect("no task panics with the clock"),
                PhantomData,
            )
        }

        /// The time that has passed since then.
        pub fn elapsed(&self) -> Delta {
            Delta(Self::now().0 - self.0)
        }
    }

    impl Delta {
        /// No time.
        pub const ZERO: Self = Self(0);

        /// From milliseconds.
        pub fn from_millis(millis: i64) -> Self {
            Self(millis * 1_000_000)
        }
    }

    impl Sub for Delta {
        type Output = Self;

        fn sub(self, other: Self) -> Self {
            Self(self.0 - other.0)
        }
    }

    impl SubAssign for Delta {
        fn sub_assign(&mut self, other: Self) {
            self.0 -= other.0;
        }
    }
}
