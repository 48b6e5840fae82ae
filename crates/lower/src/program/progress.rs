//! What a person sees while a large module is being lowered: the step, and for how long.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// From this size on, in bytes, even the own engine takes long enough to be noticed.
const LARGE: usize = 4 << 20;

/// The steps of one run, shown on standard error if that is a terminal.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins, with the number of steps. `slow` shows it for a module of any size.
    pub(crate) fn begin(bytes: usize, slow: bool, steps: u64) -> Progress {
        if !(slow || bytes >= LARGE) || !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:12}] {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(Some(bar))
    }

    /// The step that follows.
    pub(crate) fn step(&self, what: impl Into<String>) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.into());
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
