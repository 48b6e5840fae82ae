//! A task's name in two words; a `Cow` takes three, and a task block has room for two.
//!
//! On wasm32 it is a `Cow`, which is less code; without a heap a `&'static str`.
#![allow(unsafe_code, reason = "a box or a reference, told apart by a bit of the length")]

use core::fmt;

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
pub(crate) use packed::Name;

/// What a name is made of.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub(crate) type Text = alloc::borrow::Cow<'static, str>;
/// What a name is made of.
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub(crate) type Text = &'static str;

/// The name of a task.
#[cfg(not(all(feature = "alloc", not(target_arch = "wasm32"))))]
pub(crate) struct Name(Text);

#[cfg(not(all(feature = "alloc", not(target_arch = "wasm32"))))]
impl Name {
    pub(crate) fn new(name: Text) -> Name {
        Name(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        Text::as_ref(&self.0)
    }

    pub(crate) fn to_text(&self) -> Text {
        Text::clone(&self.0)
    }
}

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
mod packed {
    use alloc::borrow::Cow;
    use alloc::boxed::Box;
    use core::marker::PhantomData;
    use core::ptr::{self, NonNull};
    use core::{slice, str};

    /// The name of a task: a `&'static str` or a box.
    #[repr(C)]
    pub(crate) struct Name {
        text: NonNull<u8>,
        /// The length in bytes; with the bit [`OWNED`] if the text is a box.
        length: usize,
        /// It is not `Send`, as the blocks it is in are not.
        thread: PhantomData<*const str>,
    }

    /// No text is so long.
    const OWNED: usize = 1 << (usize::BITS - 1);

    impl Name {
        /// For `debugger.rs`: text, length.
        pub(crate) const FIELDS: [usize; 2] =
            [core::mem::offset_of!(Name, text), core::mem::offset_of!(Name, length)];
    }

    impl Name {
        pub(crate) fn new(name: Cow<'static, str>) -> Name {
            let (text, length) = match name {
                Cow::Borrowed(text) => (NonNull::from(text).cast(), text.len()),
                Cow::Owned(text) => {
                    let text = Box::leak(text.into_boxed_str());
                    (NonNull::from(&mut *text).cast(), text.len() | OWNED)
                }
            };
            Name { text, length, thread: PhantomData }
        }

        /// The text, for the program's whole time or as long as the name.
        fn text(&self) -> Result<&'static str, &str> {
            // SAFETY: `new` took both from a string, which is there for ever or, as a box, as long as this.
            let text = unsafe {
                str::from_utf8_unchecked(slice::from_raw_parts(self.text.as_ptr(), self.length & !OWNED))
            };
            if self.length & OWNED == 0 { Ok(text) } else { Err(text) }
        }

        pub(crate) fn as_str(&self) -> &str {
            match self.text() {
                Ok(text) | Err(text) => text,
            }
        }

        pub(crate) fn to_text(&self) -> Cow<'static, str> {
            match self.text() {
                Ok(text) => Cow::Borrowed(text),
                Err(text) => Cow::Owned(text.into()),
            }
        }
    }

    impl Drop for Name {
        fn drop(&mut self) {
            if self.length & OWNED != 0 {
                let text = ptr::slice_from_raw_parts_mut(self.text.as_ptr(), self.length & !OWNED);
                // SAFETY: `new` leaked this box of bytes, which were text.
                drop(unsafe { Box::from_raw(text) });
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::Name;
    use alloc::borrow::Cow;
    use alloc::string::String;

    #[test]
    fn a_name_is_what_it_was_made_of() {
        for text in ["", "x", "träge"] {
            let (fixed, owned) = (Name::new(Cow::Borrowed(text)), Name::new(Cow::Owned(String::from(text))));
            assert_eq!((fixed.as_str(), owned.as_str()), (text, text));
            assert!(matches!(fixed.to_text(), Cow::Borrowed(same) if same == text));
            assert!(matches!(owned.to_text(), Cow::Owned(same) if same == text));
        }
        assert_eq!(size_of::<Option<Name>>(), 2 * size_of::<usize>());
    }
}
