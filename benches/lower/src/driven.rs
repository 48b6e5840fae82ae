//! Tasks of Binaryen's ABI that this host suspends and resumes: an import of theirs starts the unwinding, and each is called
//! again to be rewound. `node/run.mjs` does the same on Node.

use wasmtime::{Caller, Error, Instance, Linker, Module, Store, TypedFunc};

use crate::engine::Rounds;
use crate::error::Result;

/// What the import knows.
#[derive(Default)]
struct State {
    /// The pass's exports; there are none before the module is.
    asyncify: Option<Asyncify>,
    /// Whether `pause` is called again, by a rewinding.
    resuming: bool,
    /// Whether the task that was resumed has paused.
    paused: bool,
}

#[derive(Clone)]
struct Asyncify {
    start_unwind: TypedFunc<i32, ()>,
    stop_unwind: TypedFunc<(), ()>,
    start_rewind: TypedFunc<i32, ()>,
    stop_rewind: TypedFunc<(), ()>,
}

pub(crate) struct Driven {
    store: Store<State>,
    instance: Instance,
    asyncify: Asyncify,
    main: TypedFunc<i32, ()>,
    /// Binaryen's data structure of each task.
    handles: Vec<i32>,
}

impl Driven {
    /// Tasks each of which has paused for the first time.
    pub(crate) fn new(module: &Module, [tasks, live, depth, stack]: [i32; 4]) -> Result<Driven> {
        let mut store = Store::new(module.engine(), State::default());
        let mut linker = Linker::new(module.engine());
        linker.func_wrap("env", "pause", pause)?;
        let instance = linker.instantiate(&mut store, module)?;
        let asyncify = Asyncify {
            start_unwind: instance.get_typed_func(&mut store, "asyncify_start_unwind")?,
            stop_unwind: instance.get_typed_func(&mut store, "asyncify_stop_unwind")?,
            start_rewind: instance.get_typed_func(&mut store, "asyncify_start_rewind")?,
            stop_rewind: instance.get_typed_func(&mut store, "asyncify_stop_rewind")?,
        };
        store.data_mut().asyncify = Some(asyncify.clone());
        let setup: TypedFunc<(i32, i32, i32, i32), ()> = instance.get_typed_func(&mut store, "setup")?;
        setup.call(&mut store, (tasks, live, depth, stack))?;
        let handle: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "handle")?;
        let handles =
            (0..tasks).map(|task| handle.call(&mut store, task)).collect::<wasmtime::Result<_>>()?;
        let main = instance.get_typed_func(&mut store, "main")?;
        let mut this = Driven { store, instance, asyncify, main, handles };
        for task in 0..tasks {
            this.main.call(&mut this.store, task)?;
            this.asyncify.stop_unwind.call(&mut this.store, ())?;
        }
        Ok(this)
    }

    fn round(&mut self) -> wasmtime::Result<()> {
        let Driven { store, asyncify, main, handles, .. } = self;
        for (task, &handle) in (0..).zip(handles.iter()) {
            let state = store.data_mut();
            (state.resuming, state.paused) = (true, false);
            asyncify.start_rewind.call(&mut *store, handle)?;
            main.call(&mut *store, task)?;
            if store.data().paused {
                asyncify.stop_unwind.call(&mut *store, ())?;
            }
        }
        Ok(())
    }
}

impl Rounds for Driven {
    fn go(&mut self, count: i32) -> Result<()> {
        Ok((0..count).try_for_each(|_| self.round())?)
    }

    fn finish(&mut self) -> Result<i32> {
        let end: TypedFunc<(), ()> = self.instance.get_typed_func(&mut self.store, "end")?;
        end.call(&mut self.store, ())?;
        self.round()?;
        let hash: TypedFunc<(), i32> = self.instance.get_typed_func(&mut self.store, "hash")?;
        Ok(hash.call(&mut self.store, ())?)
    }
}

fn pause(mut caller: Caller<'_, State>, handle: i32) -> wasmtime::Result<()> {
    let state = caller.data_mut();
    let asyncify = state.asyncify.as_ref().ok_or_else(|| Error::msg("called by its start function"))?;
    if state.resuming {
        let stop_rewind = asyncify.stop_rewind.clone();
        state.resuming = false;
        stop_rewind.call(&mut caller, ())
    } else {
        let start_unwind = asyncify.start_unwind.clone();
        state.paused = true;
        start_unwind.call(&mut caller, handle)
    }
}
