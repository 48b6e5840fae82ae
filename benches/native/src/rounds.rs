//! Carries out a plan: every measurement in each round, in random order, so that what else the machine does falls on all.

use std::time::SystemTime;

use bench_common::stats::Figures;
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::Arguments;
use crate::child;
use crate::count;
use crate::error::Result;
use crate::plan::Job;
use crate::report::{CACHEGRIND, Log, NATIVE};
use crate::shuffle::{Random, shuffle};

/// How much is measured.
struct Effort {
    rounds: usize,
    /// What one process should take, in nanoseconds.
    target: u64,
}

/// Where a million tasks are made for each measurement, and where figures repeat.
const FEW_ROUNDS: usize = 3;

/// A job, how many operations it takes, and what came out.
struct Running {
    job: Job,
    n: u64,
    rounds: usize,
    values: Vec<f64>,
    failed: bool,
}

pub(crate) fn run(arguments: &Arguments, jobs: Vec<Job>, log: &mut Log) -> Result<()> {
    let effort = match arguments.quick {
        true => Effort { rounds: 3, target: 20_000_000 },
        false => Effort { rounds: 7, target: 60_000_000 },
    };
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let mut random = Random::new(seed);
    let counted: Vec<Job> = jobs.iter().filter(|job| job.counted).cloned().collect();
    let mut running: Vec<Running> = jobs
        .into_iter()
        .map(|job| {
            let few = !job.family.free || job.size >= 1_000_000;
            let rounds = if few { effort.rounds.min(FEW_ROUNDS) } else { effort.rounds };
            Running { job, n: 0, rounds, values: Vec::new(), failed: false }
        })
        .collect();

    let total: usize = running.iter().map(|running| running.rounds + 1).sum::<usize>() + counted.len();
    let progress = progress(total)?;
    // The order of tables.
    let benches: Vec<(String, String)> =
        running.iter().map(|running| (running.job.bench.clone(), running.job.entrant.name.clone())).collect();
    for round in 0..=effort.rounds {
        shuffle(&mut running, &mut random);
        for one in running.iter_mut().filter(|one| !one.failed && round <= one.rounds) {
            progress.set_message(format!("round {round}: {} {}", one.job.bench, one.job.entrant.name));
            let result = if round == 0 {
                calibrate(&one.job, effort.target).map(|n| one.n = n)
            } else {
                child::measure(&one.job, one.n).map(|measured| one.values.push(measured.one()))
            };
            if let Err(error) = result {
                one.failed = true;
                log.fail(&one.job.bench, &one.job.entrant.name, &error);
            }
            progress.inc(1);
        }
    }
    for (bench, subject) in benches {
        let found = |one: &&Running| one.job.bench == bench && one.job.entrant.name == subject;
        if let Some(one) = running.iter().find(found).filter(|one| !one.failed) {
            log.number(&bench, &subject, NATIVE, one.job.family.unit, Figures::of(&one.values));
        }
    }
    for job in counted {
        progress.set_message(format!("instructions: {} {}", job.bench, job.entrant.name));
        match count::instructions(&job) {
            Ok(count) => {
                let figures = Figures::exact(count);
                log.number(&job.bench, &job.entrant.name, CACHEGRIND, "instructions", figures);
            }
            Err(error) => log.fail(&job.bench, &job.entrant.name, &error),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// How many operations take about as long as is wanted. Never less than a round of all tasks.
fn calibrate(job: &Job, target: u64) -> Result<u64> {
    let operations = |n| job.family.operations(job.size, n);
    let mut n = operations(1_000);
    if !job.family.free {
        return Ok(n);
    }
    loop {
        let took = child::measure(job, n)?.total.max(1);
        let wanted = operations((u128::from(n) * u128::from(target) / u128::from(took)).min(1 << 40) as u64);
        // What took a third of the time tells well enough how much the whole is.
        if took >= target / 3 {
            return Ok(wanted);
        }
        n = wanted.clamp(n, n.saturating_mul(100)).max(n + 1);
        n = operations(n);
    }
}

/// Shown where standard error is a terminal.
fn progress(total: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{elapsed_precise} [{pos}/{len}, {eta} left] {msg}")?;
    Ok(ProgressBar::new(total as u64).with_style(style))
}
