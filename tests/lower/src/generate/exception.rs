//! Exceptions: thrown here, by callees and by imports, caught in each way, with calls that suspend wherever there is a
//! place for them.
//!
//! The global `thrown` counts what generated code throws. All of it is caught, or arrives at the host.

use std::borrow::Cow;

use wasm_encoder::{AbstractHeapType, BlockType, Catch, HeapType, Instruction, RefType, ValType};

use crate::generate::body::{Body, Label};

/// A caught exception, or null.
pub(super) const EXNREF: ValType = ValType::Ref(RefType {
    nullable: true,
    heap_type: HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn },
});

/// What a `try_table` catches, and as what.
#[derive(Clone, Copy)]
struct Clause {
    /// None: all.
    tag: Option<usize>,
    with_reference: bool,
}

impl Clause {
    fn catch(self, label: u32) -> Catch {
        match (self.tag, self.with_reference) {
            (Some(tag), false) => Catch::One { tag: tag as u32, label },
            (Some(tag), true) => Catch::OneRef { tag: tag as u32, label },
            (None, false) => Catch::All { label },
            (None, true) => Catch::AllRef { label },
        }
    }
}

impl Body<'_> {
    /// A statement that throws, or one in which something is caught.
    pub(super) fn exceptional(&mut self, depth: usize) {
        match self.rng.below(10) {
            0..=4 => self.caught(&[], depth),
            5..=6 => {
                // Tries again and again.
                self.emit(Instruction::Loop(BlockType::Empty));
                self.enter(&[]);
                self.stop_if_empty();
                self.caught(&[], depth);
                self.condition(depth.min(2));
                self.emit(Instruction::BrIf(0));
                self.end();
            }
            7 => self.throw_now_and_then(depth),
            8 if self.features().exceptions => self.throw_kept(),
            _ => {
                let results = match self.features().multi_value {
                    true => self.some_types(1, 3),
                    false => vec![self.some_type()],
                };
                self.caught(&results, depth);
                self.consume_all(&results);
            }
        }
    }

    /// Pushes values in a way that something is caught.
    pub(super) fn caught(&mut self, results: &[ValType], depth: usize) {
        match self.features().exceptions {
            true => self.try_table(results, depth),
            false => self.legacy_try(results, depth),
        }
    }

    /// Pushes what a tag carries, then throws it.
    pub(super) fn throw(&mut self, depth: usize) -> bool {
        if self.plan.tags.is_empty() {
            return false;
        }
        if !self.features().exceptions && self.rng.percent(40) && self.rethrow() {
            return true;
        }
        let tag = self.rng.below(self.plan.tags.len());
        let params = self.tag_params(tag);
        self.push_all(&params, depth);
        self.count_thrown();
        self.emit(Instruction::Throw(tag as u32));
        true
    }

    fn throw_now_and_then(&mut self, depth: usize) {
        self.rarely();
        self.emit(Instruction::If(BlockType::Empty));
        self.enter(&[]);
        self.throw(depth.min(2));
        self.end();
    }

    fn tag_params(&self, tag: usize) -> Vec<ValType> {
        self.plan.types[self.plan.tags[tag] as usize].0.clone()
    }

    fn count_thrown(&mut self) {
        let counter = self.plan.thrown();
        self.emit(Instruction::GlobalGet(counter));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Add);
        self.emit(Instruction::GlobalSet(counter));
    }

    /// Calls an import that may suspend.
    fn suspend(&mut self, depth: usize) {
        let Some(function) = self.rng.pick(&self.plan.suspending()) else { return };
        let (params, results) = self.plan.signature_of(function);
        self.push_all(&params, depth.min(2));
        self.emit(Instruction::Call(function));
        self.consume_all(&results);
    }

    /// Statements that suspend and throw now and then, and leave in other ways.
    fn risky(&mut self, results: &[ValType], depth: usize) {
        if self.rng.percent(40) {
            self.suspend(depth);
        }
        self.statement(depth);
        if self.rng.percent(60) {
            self.condition(depth.min(2));
            self.emit(Instruction::If(BlockType::Empty));
            self.enter(&[]);
            self.throw(depth.min(2));
            self.end();
        }
        if self.features().tail_calls && self.rng.percent(15) {
            // What it throws is not caught here.
            self.rarely();
            self.emit(Instruction::If(BlockType::Empty));
            self.enter(&[]);
            if !self.tail_call(depth.min(2)) {
                self.leave(depth.min(2));
            }
            self.end();
        }
        if self.rng.percent(30) {
            self.suspend(depth);
        }
        self.sequence(results, depth);
    }

    /// Statements of a handler, with what was caught beneath.
    fn handle(&mut self, depth: usize) {
        if self.rng.percent(50) {
            self.statement(depth);
        }
        if self.rng.percent(50) {
            self.suspend(depth);
        }
    }

    // `try_table`.

    fn clauses(&mut self) -> Vec<Clause> {
        let clause = |body: &mut Self| Clause {
            tag: body.rng.percent(60).then(|| body.rng.below(body.plan.tags.len())),
            with_reference: body.rng.percent(50),
        };
        (0..self.rng.between(1, 3)).map(|_| clause(self)).collect()
    }

    fn carried(&self, clause: Clause) -> Vec<ValType> {
        let mut carried = clause.tag.map(|tag| self.tag_params(tag)).unwrap_or_default();
        carried.extend(clause.with_reference.then_some(EXNREF));
        carried
    }

    /// A handler for each clause, one behind the other, in blocks around the body:
    ///
    /// ```text
    ///   block $done (results)
    ///     block $1 (what clause 1 carries)
    ///       block $0 (what clause 0 carries)
    ///         try_table (params) (results) (catch .. $0) (catch .. $1)  ...  end  br $done
    ///       end  handler 0  br $done
    ///     end  handler 1
    ///   end
    /// ```
    fn try_table(&mut self, results: &[ValType], depth: usize) {
        let clauses = self.clauses();
        let ty = self.block_type(&[], results);
        self.emit(Instruction::Block(ty));
        self.enter(results);
        for clause in clauses.iter().rev() {
            let carried = self.carried(*clause);
            let ty = self.block_type(&[], &carried);
            self.emit(Instruction::Block(ty));
            self.enter(&carried);
        }
        let mut catches = Vec::new();
        for (index, clause) in clauses.iter().enumerate() {
            let carried = self.carried(*clause);
            let elsewhere: Vec<usize> =
                (0..self.labels.len()).filter(|label| self.carries(*label) == carried).collect();
            let label = if self.rng.percent(15) { self.rng.pick(&elsewhere) } else { None };
            catches.push(clause.catch(label.unwrap_or(index) as u32));
        }
        let params = self.block_params(depth);
        let ty = self.block_type(&params, results);
        self.emit(Instruction::TryTable(ty, Cow::Owned(catches)));
        self.enter(results);
        self.take_params(&params, depth);
        self.risky(results, depth);
        self.end();
        self.emit(Instruction::Br(clauses.len() as u32));
        for (index, clause) in clauses.iter().enumerate() {
            self.end();
            self.handler(*clause, depth);
            self.sequence(results, depth);
            let outer = clauses.len() - 1 - index;
            if outer > 0 {
                self.emit(Instruction::Br(outer as u32));
            }
        }
        self.end();
    }

    /// Uses up what was caught.
    fn handler(&mut self, clause: Clause, depth: usize) {
        let carried = self.carried(clause);
        self.handle(depth);
        let Some((&EXNREF, beneath)) = carried.split_last() else {
            return self.consume_all(&carried);
        };
        match self.rng.below(6) {
            // Kept for later.
            0..=2 => {
                let kept = self.local(EXNREF);
                self.emit(Instruction::LocalSet(kept));
                self.consume_all(beneath);
                self.handle(depth);
                if self.rng.percent(40) {
                    self.throw_from(kept);
                }
            }
            3 => {
                let kept = self.local(EXNREF);
                self.emit(Instruction::LocalTee(kept));
                self.consume(EXNREF);
                self.consume_all(beneath);
                self.throw_from(kept);
            }
            4 if self.rng.percent(50) => {
                self.count_thrown();
                self.emit(Instruction::ThrowRef);
            }
            _ => self.consume_all(&carried),
        }
    }

    /// Throws what is in the local now and then, unless that is null.
    fn throw_from(&mut self, local: u32) {
        self.condition(1);
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::RefIsNull);
        self.emit(Instruction::I32Eqz);
        self.emit(Instruction::I32And);
        self.emit(Instruction::If(BlockType::Empty));
        self.count_thrown();
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::ThrowRef);
        self.emit(Instruction::End);
    }

    /// Throws what was caught some time before.
    fn throw_kept(&mut self) {
        let kept = self.local(EXNREF);
        self.throw_from(kept);
    }

    // `try`.

    fn legacy_try(&mut self, results: &[ValType], depth: usize) {
        let params = self.block_params(depth);
        let ty = self.block_type(&params, results);
        self.emit(Instruction::Try(ty));
        self.enter(results);
        self.take_params(&params, depth);
        self.risky(results, depth);
        if self.rng.percent(20) {
            self.labels.pop();
            let label = self.rng.below(self.labels.len());
            return self.emit(Instruction::Delegate(label as u32));
        }
        if let Some(label) = self.labels.last_mut() {
            label.catches = true;
        }
        let clauses = self.rng.below(3);
        for _ in 0..clauses {
            let tag = self.rng.below(self.plan.tags.len());
            self.emit(Instruction::Catch(tag as u32));
            self.handle(depth);
            let params = self.tag_params(tag);
            self.take_params(&params, depth);
            self.legacy_handler(results, depth);
        }
        if clauses == 0 || self.rng.percent(50) {
            self.emit(Instruction::CatchAll);
            self.legacy_handler(results, depth);
        }
        self.end();
    }

    fn legacy_handler(&mut self, results: &[ValType], depth: usize) {
        self.handle(depth);
        if self.rng.percent(30) {
            self.condition(1);
            self.emit(Instruction::If(BlockType::Empty));
            self.enter(&[]);
            self.rethrow();
            self.end();
            self.handle(depth);
        }
        self.arm(results, depth);
    }

    /// Throws again what a handler around this has caught.
    fn rethrow(&mut self) -> bool {
        let catches = |label: &Label| label.catches;
        let catching: Vec<usize> = self
            .labels
            .iter()
            .rev()
            .enumerate()
            .filter(|(_, label)| catches(label))
            .map(|(at, _)| at)
            .collect();
        let Some(label) = self.rng.pick(&catching) else { return false };
        self.count_thrown();
        self.emit(Instruction::Rethrow(label as u32));
        true
    }
}
