//! The types that cross between host and reactor.

use alloc::string::String;
use alloc::vec::Vec;

/// A type that an export's parameter may have.
///
/// `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, `String` and `Vec<u8>`. Borrowed types cannot: a call's arguments live with its task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a `#[windlass::export]`",
    label = "not a type that crosses between host and reactor",
    note = "use i32, u32, i64, u64, f32, f64, String or Vec<u8>"
)]
pub trait Value: Sized + 'static {
    /// What the wasm function takes.
    #[doc(hidden)]
    type Abi: 'static;
    /// The type's letter in the section `windlass.exports`.
    #[doc(hidden)]
    const CODE: u8;
    /// Converts what came from the host.
    #[doc(hidden)]
    fn from_abi(abi: Self::Abi) -> Self;
    /// Converts what goes to the host.
    #[doc(hidden)]
    fn into_abi(self) -> Self::Abi;
}

/// A type that an export may return: a [`Value`], or nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a `#[windlass::export]`",
    label = "not a type that crosses between host and reactor",
    note = "return i32, u32, i64, u64, f32, f64, String, Vec<u8> or nothing"
)]
pub trait Output: Sized + 'static {
    /// What the wasm function returns.
    #[doc(hidden)]
    type Abi: 'static;
    /// The type's letter in the section `windlass.exports`.
    #[doc(hidden)]
    const CODE: u8;
    /// Converts what goes to the host.
    #[doc(hidden)]
    fn into_abi(self) -> Self::Abi;
}

macro_rules! number {
    ($($type:ty, $code:literal;)*) => {$(
        impl Value for $type {
            type Abi = $type;
            const CODE: u8 = $code;

            fn from_abi(abi: $type) -> $type {
                abi
            }

            fn into_abi(self) -> $type {
                self
            }
        }
    )*};
}

number! {
    i32, b'i';
    u32, b'I';
    i64, b'l';
    u64, b'L';
    f32, b'f';
    f64, b'd';
}

macro_rules! output {
    ($($type:ty),*) => {$(
        impl Output for $type {
            type Abi = <$type as Value>::Abi;
            const CODE: u8 = <$type as Value>::CODE;

            fn into_abi(self) -> Self::Abi {
                Value::into_abi(self)
            }
        }
    )*};
}

output!(i32, u32, i64, u64, f32, f64, String, Vec<u8>);

impl Output for () {
    type Abi = ();
    const CODE: u8 = b'v';

    fn into_abi(self) {}
}

impl Value for Vec<u8> {
    type Abi = u64;
    const CODE: u8 = b'b';

    fn from_abi(abi: u64) -> Vec<u8> {
        memory::take(abi)
    }

    fn into_abi(self) -> u64 {
        memory::give(self)
    }
}

impl Value for String {
    type Abi = u64;
    const CODE: u8 = b's';

    fn from_abi(abi: u64) -> String {
        match String::from_utf8(memory::take(abi)) {
            Ok(text) => text,
            // Hosts send UTF-8; what one sends all the same is made readable rather than trusted.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    fn into_abi(self) -> u64 {
        memory::give(self.into_bytes())
    }
}

/// Byte vectors as `len << 32 | ptr`.
#[cfg(target_arch = "wasm32")]
pub(super) mod memory {
    #![allow(unsafe_code, reason = "ownership of memory crosses between host and reactor as a number")]

    use alloc::alloc::{alloc, dealloc};
    use alloc::vec::Vec;
    use core::alloc::Layout;
    use core::ptr::NonNull;

    /// Memory that the host will fill and hand over; null if there is none.
    pub(crate) fn allocate(len: usize) -> *mut u8 {
        match Layout::array::<u8>(len) {
            Ok(layout) if layout.size() == 0 => NonNull::<u64>::dangling().as_ptr().cast(),
            // SAFETY: the size is not zero.
            Ok(layout) => unsafe { alloc(layout) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    /// Takes memory back that the host does not want any more.
    pub(crate) fn free(pointer: *mut u8, len: usize) {
        if len > 0
            && !pointer.is_null()
            && let Ok(layout) = Layout::array::<u8>(len)
        {
            // SAFETY: the ABI: the pair came from `allocate` or `give`, and is given back once.
            unsafe { dealloc(pointer, layout) };
        }
    }

    pub(crate) fn take(abi: u64) -> Vec<u8> {
        let (pointer, len) = (abi as u32 as usize as *mut u8, (abi >> 32) as usize);
        if len == 0 {
            return Vec::new();
        }
        // SAFETY: the ABI: the host filled memory of `allocate(len)` and hands it over.
        unsafe { Vec::from_raw_parts(pointer, len, len) }
    }

    pub(crate) fn give(bytes: Vec<u8>) -> u64 {
        let len = bytes.len();
        if len == 0 {
            return NonNull::<u64>::dangling().as_ptr() as usize as u64;
        }
        let pointer = alloc::boxed::Box::into_raw(bytes.into_boxed_slice()).cast::<u8>();
        (len as u64) << 32 | pointer as usize as u64
    }
}

/// Natively nothing crosses; the types are checked all the same.
#[cfg(not(target_arch = "wasm32"))]
mod memory {
    use alloc::vec::Vec;

    pub(super) fn take(_: u64) -> Vec<u8> {
        unreachable!("only wasm32 exports are called with packed bytes")
    }

    pub(super) fn give(_: Vec<u8>) -> u64 {
        unreachable!("only wasm32 exports return packed bytes")
    }
}
