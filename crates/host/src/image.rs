//! A compiled module, from which any number of reactors can be made.

use std::sync::Arc;

use wasmtime::{Config, Engine, ExternType, FuncType, Module, ValType};

use crate::{
    error::{Error, Result},
    limits::Limits,
    section::Sections,
    value::{Signature, Type},
};

/// A compiled module. Cloning is cheap.
///
/// # Examples
///
/// ```no_run
/// use windlass_host::{Image, Limits, Reactor};
///
/// let image = Image::new(&std::fs::read("plugin.wasm")?, &Limits::default())?;
/// let mut first = Reactor::builder().instantiate(&image)?;
/// let mut second = Reactor::builder().instantiate(&image)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Image {
    inner: Arc<Inner>,
}

struct Inner {
    module: Module,
    sections: Sections,
    /// What a host may call, in the order of the section, else of the module's exports.
    signatures: Vec<Signature>,
    fuel: bool,
    interruptible: bool,
    stack: usize,
}

impl Image {
    /// Checks and compiles a binary module. Of `limits` fuel, interruption and the stack matter here: they are compiled in, and a
    /// reactor that wants them needs an image that has them.
    ///
    /// # Errors
    ///
    /// [`Error::Load`], [`Error::NotLowered`] or [`Error::AbiMismatch`].
    pub fn new(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let sections = Sections::read(bytes)?;
        let mut config = Config::new();
        config
            .consume_fuel(limits.fuel.is_some())
            .epoch_interruption(limits.interruptible)
            .max_wasm_stack(limits.stack_bytes());
        let engine = Engine::new(&config).map_err(|error| Error::load(format_args!("{error:#}")))?;
        let module = Module::new(&engine, bytes).map_err(|error| Error::load(format_args!("{error:#}")))?;
        let signatures = signatures(&module, &sections)?;
        Ok(Self {
            inner: Arc::new(Inner {
                module,
                sections,
                signatures,
                fuel: limits.fuel.is_some(),
                interruptible: limits.interruptible,
                stack: limits.stack_bytes(),
            }),
        })
    }

    /// What a host may call: the records of `windlass.exports`; in a module without them every export that takes and returns
    /// numbers, with signed types.
    pub fn signatures(&self) -> &[Signature] {
        &self.inner.signatures
    }

    /// What `windlass-lower` wrote about itself, if the module was lowered.
    pub fn lowered_by(&self) -> Option<&str> {
        self.inner.sections.lowered.as_deref()
    }

    /// Whether the signatures stand in the module, rather than being read off its exports.
    pub(crate) fn declares(&self) -> bool {
        !self.inner.sections.exports.is_empty()
    }

    pub(crate) fn module(&self) -> &Module {
        &self.inner.module
    }

    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        let missing = if limits.fuel.is_some() && !self.inner.fuel {
            "fuel"
        } else if limits.interruptible && !self.inner.interruptible {
            "interruption"
        } else if limits.stack.is_some_and(|bytes| bytes != self.inner.stack) {
            "this size of stack"
        } else {
            return Ok(());
        };
        Err(Error::load(format_args!(
            "the image was compiled without {missing}: give `Image::new` the same limits as the reactor"
        )))
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("signatures", &self.inner.signatures).finish_non_exhaustive()
    }
}

/// The wasm type that stands for `ty` at the boundary.
fn lowered(ty: Type) -> ValType {
    match ty {
        Type::I32 | Type::U32 => ValType::I32,
        Type::I64 | Type::U64 | Type::String | Type::Bytes => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
    }
}

/// The signature of an export that nobody declared, if it takes and returns numbers.
pub(crate) fn derive(name: &str, ty: &FuncType) -> Option<Signature> {
    let number = |ty: ValType| match ty {
        ValType::I32 => Some(Type::I32),
        ValType::I64 => Some(Type::I64),
        ValType::F32 => Some(Type::F32),
        ValType::F64 => Some(Type::F64),
        _ => None,
    };
    let mut results = ty.results();
    let signature = Signature {
        name: name.to_owned(),
        params: ty.params().map(number).collect::<Option<_>>()?,
        result: match results.next() {
            Some(result) => Some(number(result)?),
            None => None,
        },
    };
    results.next().is_none().then_some(signature)
}

fn signatures(module: &Module, sections: &Sections) -> Result<Vec<Signature>> {
    if sections.exports.is_empty() {
        let derived = module.exports().filter_map(|export| match export.ty() {
            ExternType::Func(ty) if !reserved(export.name()) => derive(export.name(), &ty),
            _ => None,
        });
        return Ok(derived.collect());
    }
    let mut signatures = Vec::new();
    for declared in &sections.exports {
        // An export that a later tool removed is simply not there.
        let Some(ExternType::Func(ty)) = module.get_export(&declared.name) else { continue };
        let params: Vec<ValType> = ty.params().collect();
        let results: Vec<ValType> = ty.results().collect();
        let fits = |have: &[ValType], want: &mut dyn Iterator<Item = Type>| {
            let want: Vec<ValType> = want.map(lowered).collect();
            have.len() == want.len() && have.iter().zip(&want).all(|(have, want)| ValType::eq(have, want))
        };
        if !fits(&params, &mut declared.params.iter().copied())
            || !fits(&results, &mut declared.result.into_iter())
        {
            return Err(Error::load(format_args!(
                "`windlass.exports` declares `{declared}`, but the export has another type, {ty}: build guest and host from \
                 the same release"
            )));
        }
        signatures.push(declared.clone());
    }
    Ok(signatures)
}

/// Whether an export belongs to the ABI and is no call of the guest's own.
pub(crate) fn reserved(name: &str) -> bool {
    name.starts_with("windlass_") || name.starts_with("windlass.") || name.starts_with('_')
}
