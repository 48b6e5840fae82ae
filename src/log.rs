//! Text for the host.

/// Writes a line to the host's log: natively to standard error, on wasm32 through `windlass_host.log`.
///
/// # Context
/// Any but interrupts.
pub fn log(text: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::reactor::host::log(text);
    #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
    std::eprintln!("{text}");
    #[cfg(not(any(feature = "std", target_arch = "wasm32")))]
    let _ = text;
}

/// Writes a line to the host's log, formatted as by [`format!`](alloc::format).
///
/// # Examples
/// ```
/// windlass::log!("{} tasks", 3);
/// ```
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::log(&$crate::__format!($($argument)*))
    };
}

#[doc(hidden)]
pub use alloc::format as __format;
