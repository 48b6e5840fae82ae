//! A module that a host calls again and again.
//!
//! ```text
//!   host                       reactor
//!   _initialize ─────────────► constructors, then the init task; background tasks stay queued
//!   add(3, 5)   ─────────────► task "add" at the tail; the run queue is resumed until that task is done
//!       8       ◄───────────── all others pause where they are
//!   add(7, 9)   ─────────────► they go on
//! ```
//!
//! On wasm32 [`#[windlass::export]`](crate::export) and [`#[windlass::init]`](crate::init) make the entries; `docs/abi.md` says exactly
//! what a host sees. The same entries can be called natively, [`initialize`] and [`call`], so that a reactor is tested like any program.
//! `docs/semantics.md` has the thirteen rules.
//!
//! Without the feature `scheduler`, exports are called directly after the state check.

mod state;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
mod value;

#[cfg(feature = "asynchronous")]
mod asynchronous;
#[cfg(feature = "scheduler")]
mod call;
#[cfg(not(feature = "scheduler"))]
#[path = "direct.rs"]
mod call;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(all(target_arch = "wasm32", feature = "scheduler"))]
mod frames;
#[cfg(target_arch = "wasm32")]
pub(crate) mod host;

#[cfg(all(feature = "asynchronous", feature = "timers"))]
pub use asynchronous::start_with_deadline;
#[cfg(feature = "asynchronous")]
pub use asynchronous::{Pending, Progress, poll, set_background, start};
#[cfg(feature = "timers")]
pub use call::call_with_deadline;
#[cfg(feature = "scheduler")]
pub(crate) use call::run_task;
#[cfg(all(feature = "timers", not(feature = "scheduler")))]
pub(crate) use call::would_block;
pub use call::{call, initialize};
pub(crate) use state::State;
pub use state::poison;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub use value::{Output, Value};

/// For the code that the macros write.
#[doc(hidden)]
pub mod private {
    #[cfg(target_arch = "wasm32")]
    pub use super::exports::{Init, admit, call, register_init};
    #[cfg(all(target_arch = "wasm32", feature = "asynchronous"))]
    pub use super::exports::{result, start};
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub use super::value::{Output, Value};
}

/// Writes the asynchronous entries of an export; nothing where they are off.
#[cfg(all(target_arch = "wasm32", feature = "asynchronous"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __asynchronous {
    ($start:literal, $take:literal, $name:literal, $result:ty, $function:ident; $($parameter:ident: $type:ty),*) => {
        const _: () = {
            use $crate::reactor::private::{self, Output, Value};

            #[unsafe(export_name = $start)]
            extern "C" fn start($($parameter: <$type as Value>::Abi),*) -> u32 {
                $(let $parameter = <$type as Value>::from_abi($parameter);)*
                private::start($name, move || $function($($parameter),*))
            }

            #[unsafe(export_name = $take)]
            extern "C" fn result(id: u32) -> <$result as Output>::Abi {
                private::result::<$result>($name, id)
            }
        };
    };
}

/// Writes the asynchronous entries of an export; nothing where they are off.
#[cfg(all(target_arch = "wasm32", not(feature = "asynchronous")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __asynchronous {
    ($($anything:tt)*) => {};
}
