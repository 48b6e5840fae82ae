//! The attributes of `windlass`. Use them through that crate.
//!
//! Both leave the function as it is and add what only a wasm32 build has: the exported entries of `docs/abi.md`, section 5, and the record
//! in the section `windlass.exports`. The types are checked on every target.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitByte, LitStr, Pat, ReturnType, Type};

/// Exports a function of a reactor: each call from the host runs it as a task, and resumes the run queue until that task is done.
///
/// Parameters: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, `String`, `Vec<u8>`; the result one of them or nothing. The function stays
/// callable as it is.
///
/// ```
/// #[windlass::export]
/// fn add(a: i32, b: i32) -> i32 {
///     a + b
/// }
///
/// #[windlass::export(name = "sub")]
/// fn subtract(a: i32, b: i32) -> i32 {
///     a - b
/// }
/// ```
#[proc_macro_attribute]
pub fn export(attributes: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(item, |function| {
        let name = export_name(attributes.into(), function)?;
        export_entries(&name, function)
    })
}

/// Marks the function that initialises a reactor: `_initialize` runs it as a task, once, before any export.
///
/// There may be several; they run one after another, in the order in which the linker sees them.
///
/// ```
/// #[windlass::init]
/// fn init() {
///     windlass::spawn(|| windlass::log!("in the background"));
/// }
/// ```
#[proc_macro_attribute]
pub fn init(attributes: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(item, |function| {
        if !attributes.is_empty() {
            return Err(Error::new(Span::call_site(), "`#[windlass::init]` takes no arguments"));
        }
        plain_function(function, "#[windlass::init]")?;
        if let Some(parameter) = function.sig.inputs.first() {
            return Err(Error::new(parameter.span(), "an init function takes no parameters"));
        }
        if let ReturnType::Type(_, result) = &function.sig.output {
            return Err(Error::new(
                result.span(),
                "an init function returns nothing; a panic makes `_initialize` fail",
            ));
        }
        let name = &function.sig.ident;
        Ok(quote! {
            const _: fn() = #name;
            #[cfg(target_arch = "wasm32")]
            const _: () = {
                use ::windlass::reactor::private::{Init, register_init};

                static INIT: Init = Init::new(#name);
                extern "C" fn register() {
                    register_init(&INIT);
                }
                // A constructor: `_initialize` runs it before it looks for what was registered.
                #[used]
                #[unsafe(link_section = ".init_array")]
                static REGISTER: extern "C" fn() = register;
            };
        })
    })
}

/// The function as it is, followed by what `add` makes of it, or by an error.
fn expand(
    item: proc_macro::TokenStream,
    add: impl FnOnce(&ItemFn) -> Result<TokenStream, Error>,
) -> proc_macro::TokenStream {
    let function: ItemFn = match syn::parse(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            let item = TokenStream::from(item);
            let error =
                Error::new(Span::call_site(), "this attribute belongs on a function").into_compile_error();
            return quote!(#item #error).into();
        }
    };
    let added = add(&function).unwrap_or_else(Error::into_compile_error);
    quote!(#function #added).into()
}

fn export_name(attributes: TokenStream, function: &ItemFn) -> Result<LitStr, Error> {
    let ident = &function.sig.ident;
    let mut name = attributes.is_empty().then(|| LitStr::new(&ident.unraw().to_string(), ident.span()));
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error("expected `name = \"...\"`"));
        }
        name = Some(meta.value()?.parse::<LitStr>()?);
        Ok(())
    });
    syn::parse::Parser::parse2(parser, attributes)?;
    let name = name.ok_or_else(|| Error::new(Span::call_site(), "expected `name = \"...\"`"))?;
    let text = name.value();
    if text.is_empty()
        || text.contains('\0')
        || text.starts_with('_')
        || text.starts_with("windlass")
        || text == "memory"
    {
        return Err(Error::new(
            name.span(),
            "an export's name is not empty, has no zero byte, does not begin with `windlass` or `_`, and is not `memory`; \
             choose another with `#[windlass::export(name = \"...\")]`",
        ));
    }
    if TAKEN.contains(&text.as_str()) {
        return Err(Error::new(
            name.span(),
            format!(
                "`{text}` is a function that compiled code calls by this name, and an export of that name would take its place; \
                 choose another with `#[windlass::export(name = \"...\")]`"
            ),
        ));
    }
    Ok(name)
}

/// Names that the linker resolves for code that the compiler makes or that C libraries have: an export's name is a symbol, too.
const TAKEN: &[&str] = &[
    "abort",
    "acos",
    "acosf",
    "asin",
    "asinf",
    "atan",
    "atan2",
    "atan2f",
    "atanf",
    "bcmp",
    "calloc",
    "cbrt",
    "cbrtf",
    "ceil",
    "ceilf",
    "close",
    "cos",
    "cosf",
    "cosh",
    "coshf",
    "exit",
    "exp",
    "exp2",
    "exp2f",
    "expf",
    "expm1",
    "expm1f",
    "fabs",
    "fabsf",
    "fdim",
    "fdimf",
    "floor",
    "floorf",
    "fma",
    "fmaf",
    "fmax",
    "fmaxf",
    "fmin",
    "fminf",
    "fmod",
    "fmodf",
    "free",
    "hypot",
    "hypotf",
    "ldexp",
    "ldexpf",
    "lgamma_r",
    "lgammaf_r",
    "log",
    "log10",
    "log10f",
    "log1p",
    "log1pf",
    "log2",
    "log2f",
    "logf",
    "main",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "open",
    "posix_memalign",
    "pow",
    "powf",
    "read",
    "realloc",
    "rint",
    "rintf",
    "round",
    "roundf",
    "roundeven",
    "roundevenf",
    "sin",
    "sinf",
    "sinh",
    "sinhf",
    "sqrt",
    "sqrtf",
    "strlen",
    "tan",
    "tanf",
    "tanh",
    "tanhf",
    "tgamma",
    "tgammaf",
    "time",
    "trunc",
    "truncf",
    "write",
];

fn plain_function(function: &ItemFn, attribute: &str) -> Result<(), Error> {
    let signature = &function.sig;
    let wrong = if let Some(token) = &signature.asyncness {
        Some((token.span(), "async: tasks block instead"))
    } else if let Some(token) = &signature.unsafety {
        Some((token.span(), "unsafe: the host cannot uphold a contract"))
    } else if !signature.generics.params.is_empty() {
        Some((signature.generics.span(), "generic: the host calls one function"))
    } else {
        signature.variadic.as_ref().map(|token| (token.span(), "variadic"))
    };
    match wrong {
        Some((span, what)) => {
            Err(Error::new(span, format!("a function with `{attribute}` cannot be {what}")))
        }
        None => Ok(()),
    }
}

fn export_entries(name: &LitStr, function: &ItemFn) -> Result<TokenStream, Error> {
    plain_function(function, "#[windlass::export]")?;
    let ident = &function.sig.ident;
    let mut types: Vec<&Type> = Vec::new();
    for parameter in &function.sig.inputs {
        match parameter {
            FnArg::Typed(typed) if matches!(&*typed.pat, Pat::Ident(_) | Pat::Wild(_)) => {
                types.push(&typed.ty)
            }
            FnArg::Typed(typed) => {
                return Err(Error::new(typed.pat.span(), "a parameter of an export is a plain name"));
            }
            FnArg::Receiver(receiver) => {
                return Err(Error::new(receiver.span(), "an export is a free function, not a method"));
            }
        }
    }
    for type_ in &types {
        if let Type::Reference(reference) = type_ {
            return Err(Error::new(
                reference.span(),
                "an export cannot borrow: its arguments live with the call's task; use String or Vec<u8>",
            ));
        }
    }
    let unit: Type = syn::parse_quote!(());
    let result = match &function.sig.output {
        ReturnType::Default => &unit,
        ReturnType::Type(_, result) => result,
    };
    let names: Vec<_> = (0..types.len()).map(|index| format_ident!("p{index}")).collect();
    let start = format!("windlass.start.{}", name.value());
    let take = format!("windlass.result.{}", name.value());
    let private = quote!(::windlass::reactor::private);
    let checks = types.iter().map(|type_| {
        quote_spanned!(type_.span()=> { fn parameter<T: #private::Value>() {} let _ = parameter::<#type_>; })
    });
    let check_result =
        quote_spanned!(result.span()=> { fn result<T: #private::Output>() {} let _ = result::<#result>; });
    let text = name.value();
    let bytes = text.bytes().map(|byte| LitByte::new(byte, name.span()));
    let length = text.len() + 1 + types.len() + 3;
    Ok(quote! {
        const _: () = {
            #(#checks)*
            #check_result
            // Used on every target, whoever else calls it.
            let _ = #ident;
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[used]
            #[unsafe(link_section = "windlass.exports")]
            static RECORD: [u8; #length] = [
                #(#bytes,)* 0,
                #(<#types as #private::Value>::CODE,)*
                b'>', <#result as #private::Output>::CODE, 0,
            ];

            #[unsafe(export_name = #name)]
            extern "C" fn call(#(#names: <#types as #private::Value>::Abi),*) -> <#result as #private::Output>::Abi {
                #private::admit();
                run(#(#names),*)
            }

            // Apart, so that a call that is refused has no frame to leave behind.
            #[inline(never)]
            fn run(#(#names: <#types as #private::Value>::Abi),*) -> <#result as #private::Output>::Abi {
                #(let #names = <#types as #private::Value>::from_abi(#names);)*
                #private::call(#name, move || #ident(#(#names),*))
            }
        };
        #[cfg(target_arch = "wasm32")]
        ::windlass::__asynchronous! {
            #start, #take, #name, #result, #ident;
            #(#names: #types),*
        }
    })
}
