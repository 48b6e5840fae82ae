//! The models. A wake-up that is lost is a deadlock to loom; what is never freed, a leak.

mod inbox;
mod pool;

/// Tries every order with at most `preemptions` switches that no operation asked for; all of them if that is none.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(model);
}
