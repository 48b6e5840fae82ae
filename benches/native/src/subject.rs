//! Who is measured: a table of every subject in this program, and what each of them can do.

use crate::error::Result;
use crate::meter::Measured;
use crate::subjects;

/// Does a bench: `size` is the number behind its name (tasks, frames, bytes), 0 where there is none; at least `n`
/// operations are wanted, or `n` rounded down to a multiple of the tasks.
pub(crate) type Measure = fn(size: u64, n: u64) -> Measured;

pub(crate) struct Subject {
    /// As in tables.
    pub(crate) name: &'static str,
    /// The packages whose versions are reported.
    pub(crate) packages: &'static [&'static str],
    /// How it is used here, where the name does not say.
    pub(crate) about: &'static str,
    /// More than these are not tried, and why.
    pub(crate) most_tasks: Option<(u64, &'static str)>,
    /// Whether its instructions can be counted: one thread, which never waits for the system.
    pub(crate) countable: bool,
    /// By the names of families (`plan.rs`).
    pub(crate) benches: &'static [(&'static str, Measure)],
}

/// Each stack has a guard of its own, which splits its mapping in two (`vm.max_map_count`).
#[cfg_attr(
    not(any(feature = "generator", feature = "may", feature = "context")),
    expect(dead_code, reason = "only peers stop there")
)]
pub(crate) const GUARDED: Option<(u64, &str)> = Some((
    32_700,
    "two mappings for each guarded stack, of which Linux allows 65,530: it stops at about 32,750 tasks",
));

/// Those that this program was built with, ours first.
pub(crate) const SUBJECTS: &[&Subject] = &[
    &subjects::windlass::WINDLASS,
    &subjects::windlass::WINDLASS_SMALL,
    &subjects::hand_async::HAND_ASYNC,
    &subjects::threads::STD_THREADS,
    #[cfg(feature = "corosensei")]
    &subjects::corosensei::COROSENSEI,
    #[cfg(feature = "generator")]
    &subjects::generator::GENERATOR,
    #[cfg(feature = "context")]
    &subjects::context::CONTEXT,
    #[cfg(feature = "may")]
    &subjects::may::MAY,
    #[cfg(feature = "may")]
    &subjects::may::MAY_MPSC,
    #[cfg(feature = "tokio")]
    &subjects::tokio::TOKIO,
    #[cfg(feature = "tokio")]
    &subjects::tokio::TOKIO_MULTI,
    #[cfg(feature = "async-executor")]
    &subjects::async_executor::ASYNC_EXECUTOR,
    #[cfg(feature = "localpool")]
    &subjects::localpool::LOCALPOOL,
    #[cfg(feature = "embassy")]
    &subjects::embassy::EMBASSY,
    #[cfg(feature = "kanal")]
    &subjects::kanal::KANAL,
    #[cfg(feature = "kanal")]
    &subjects::kanal::KANAL_THREADS,
    #[cfg(feature = "flume")]
    &subjects::flume::FLUME,
    #[cfg(feature = "flume")]
    &subjects::flume::FLUME_THREADS,
    #[cfg(feature = "async-channel")]
    &subjects::async_channel::ASYNC_CHANNEL,
];

/// The child's side: measures and tells.
pub(crate) fn measure(subject: &str, bench: &str, n: u64) -> Result<()> {
    let found = SUBJECTS.iter().find(|found| found.name == subject);
    let subject = found.ok_or_else(|| format!("no subject `{subject}` in this program"))?;
    let (family, size) = match bench.rsplit_once('/') {
        Some((family, size)) if size.bytes().all(|byte| byte.is_ascii_digit()) => (family, size.parse()?),
        _ => (bench, 0),
    };
    let (_, measure) = subject
        .benches
        .iter()
        .find(|(name, _)| *name == family)
        .ok_or_else(|| format!("{} does not do `{family}`", subject.name))?;
    measure(size, n).tell();
    Ok(())
}

/// A block in which the constant named is the size: one program for each size of a message.
macro_rules! for_size {
    ($size:expr, $SIZE:ident => $block:expr) => {
        match $size {
            0 | 8 => {
                const $SIZE: usize = 8;
                $block
            }
            64 => {
                const $SIZE: usize = 64;
                $block
            }
            512 => {
                const $SIZE: usize = 512;
                $block
            }
            4_096 => {
                const $SIZE: usize = 4_096;
                $block
            }
            other => panic!("no bench has messages of {other} bytes"),
        }
    };
}
pub(crate) use for_size;
