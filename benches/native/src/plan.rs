//! What is measured: families of benches, who takes part, and what is left out and why.

use std::env;
use std::path::PathBuf;

use crate::arguments::Arguments;
use crate::error::Result;
use crate::report::Log;
use crate::subject::{SUBJECTS, Subject};

/// Benches that differ in one number, which stands behind the family's name.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// For titles: what one operation is.
    pub(crate) does: &'static str,
    pub(crate) unit: &'static str,
    /// What the number counts, for axes; `None` where there is none.
    pub(crate) over: Option<&'static str>,
    pub(crate) sizes: &'static [u64],
    /// Those of `--quick`.
    pub(crate) quick: &'static [u64],
    /// Those whose instructions are counted.
    counted: &'static [u64],
    /// Whether operations come in multiples of the number.
    whole: bool,
    /// Whether the number of operations can be chosen at all.
    pub(crate) free: bool,
    /// The number is one of tasks alive at once.
    tasks: bool,
    pub(crate) cpus: usize,
}

/// Of yields of each task, at least: the first few find nothing in the cache. Fewer where all take seconds.
const fn rounds(tasks: u64) -> u64 {
    if tasks < 1_000_000 { 20 } else { 5 }
}

/// Where families have no number.
const NONE: &[u64] = &[0];

const FAMILY: Family = Family {
    name: "",
    does: "",
    unit: "ns",
    over: None,
    sizes: NONE,
    quick: NONE,
    counted: &[],
    whole: false,
    free: true,
    tasks: false,
    cpus: 1,
};

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "yield",
        does: "one yield of one of K tasks",
        over: Some("tasks"),
        sizes: &[2, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
        quick: &[2, 1_000, 100_000],
        counted: &[2, 1_000],
        whole: true,
        tasks: true,
        ..FAMILY
    },
    Family {
        name: "yield-shuffled",
        does: "one yield of one of K tasks, which run in another order than they lie in memory",
        sizes: &[100_000],
        quick: &[100_000],
        whole: true,
        tasks: true,
        ..FAMILY
    },
    Family {
        name: "yield-beside-sleeper",
        does: "one yield of one of K tasks while another sleeps for long, so that timers are looked after",
        over: Some("tasks"),
        sizes: &[2, 1_000],
        quick: &[2, 1_000],
        counted: &[2, 1_000],
        whole: true,
        tasks: true,
        ..FAMILY
    },
    Family {
        name: "depth",
        does: "one yield of one of two tasks, each beneath so many frames",
        over: Some("frames"),
        sizes: &[1, 10, 100, 1_000],
        quick: &[1, 100, 1_000],
        ..FAMILY
    },
    Family {
        name: "pingpong",
        does: "one round trip of 8 bytes over two channels without a buffer, or with the smallest there is",
        counted: NONE,
        ..FAMILY
    },
    Family {
        name: "message",
        does: "the same with messages of so many bytes",
        over: Some("bytes"),
        sizes: &[8, 64, 512, 4_096],
        quick: &[8, 4_096],
        ..FAMILY
    },
    Family {
        name: "stream",
        does: "one message of 8 bytes through a channel with a buffer of so many",
        sizes: &[128],
        quick: &[128],
        ..FAMILY
    },
    Family {
        name: "spawn",
        does: "spawn, run and join of an empty task, from a warm pool",
        counted: NONE,
        ..FAMILY
    },
    Family {
        name: "spawn-burst",
        does: "the same where so many are spawned before they are joined",
        sizes: &[1_000],
        quick: &[1_000],
        whole: true,
        ..FAMILY
    },
    Family { name: "mutex", does: "lock and unlock, nobody else wants it", counted: NONE, ..FAMILY },
    Family {
        name: "call",
        does: "a call into a reactor, natively, of a function that returns its argument",
        counted: NONE,
        ..FAMILY
    },
    Family {
        name: "timers",
        does: "one of so many sleepers: insert and expire; the clock jumps",
        over: Some("sleepers"),
        sizes: &[1_000, 100_000, 1_000_000],
        quick: &[1_000, 100_000],
        free: false,
        tasks: true,
        ..FAMILY
    },
    Family {
        name: "memory",
        does: "resident memory for one of so many idle tasks",
        unit: "B",
        over: Some("tasks"),
        sizes: &[10_000, 100_000, 1_000_000],
        quick: &[10_000, 100_000],
        free: false,
        tasks: true,
        ..FAMILY
    },
    Family {
        name: "switch",
        does: "two switches, there and back, without a scheduler",
        counted: NONE,
        ..FAMILY
    },
    Family {
        name: "pool/yield",
        does: "one yield of one of K tasks on two threads, on two CPUs",
        sizes: &[100],
        quick: &[100],
        whole: true,
        cpus: 2,
        ..FAMILY
    },
    Family {
        name: "pool/pingpong",
        does: "one round trip of 8 bytes between two threads, on two CPUs",
        cpus: 2,
        ..FAMILY
    },
];

impl Family {
    /// A bench's name.
    pub(crate) fn bench(&self, size: u64) -> String {
        if size == 0 { self.name.to_owned() } else { format!("{}/{size}", self.name) }
    }

    /// Rounds down to what can be done, but not to less than says something: some rounds of all tasks.
    pub(crate) fn operations(&self, size: u64, n: u64) -> u64 {
        let (step, least) = match (self.whole, self.tasks) {
            (true, true) => (size, rounds(size)),
            (true, false) => (size, 1),
            (false, _) => (1, 1),
        };
        (n / step).max(least) * step
    }
}

/// The family and the number of a bench that has one in this table.
pub(crate) fn find(bench: &str) -> Option<(&'static Family, u64)> {
    let sizes = |family: &'static Family| family.sizes.iter().map(move |&size| (family, size));
    FAMILIES.iter().flat_map(sizes).find(|(family, size)| family.bench(*size) == bench)
}

/// A subject, and the program that has it.
#[derive(Clone, Debug)]
pub(crate) struct Entrant {
    /// As in tables.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// As that program calls it.
    pub(crate) inside: String,
    families: Vec<&'static str>,
    most_tasks: Option<(u64, &'static str)>,
    countable: bool,
}

/// One subject in one bench.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) bench: String,
    pub(crate) family: &'static Family,
    pub(crate) size: u64,
    pub(crate) entrant: Entrant,
    /// Whether instructions are counted, too.
    pub(crate) counted: bool,
}

/// What the program of `go/` can do.
const GO: &[&str] = &[
    "yield",
    "yield-shuffled",
    "depth",
    "pingpong",
    "message",
    "stream",
    "spawn",
    "spawn-burst",
    "mutex",
    "memory",
    "pool/yield",
    "pool/pingpong",
];

pub(crate) fn entrants(arguments: &Arguments) -> Result<Vec<Entrant>> {
    let this = env::current_exe()?;
    let entrant = |subject: &&Subject| Entrant {
        name: subject.name.to_owned(),
        program: this.clone(),
        inside: subject.name.to_owned(),
        families: subject.benches.iter().map(|(family, _)| *family).collect(),
        most_tasks: subject.most_tasks,
        countable: subject.countable,
    };
    let mut all: Vec<Entrant> = SUBJECTS.iter().map(entrant).collect();
    if let Some(program) = &arguments.lto {
        // What it costs in memory is the same.
        let mut families = all[0].families.clone();
        families.retain(|family| *family != "memory");
        let name = "windlass_lto".to_owned();
        all.push(Entrant { name, program: program.clone(), families, ..all[0].clone() });
    }
    if let Some(program) = &arguments.go {
        let (name, inside) = ("go".to_owned(), "go".to_owned());
        let (program, families) = (program.clone(), GO.to_vec());
        all.push(Entrant { name, inside, program, families, most_tasks: None, countable: true });
    }
    Ok(all)
}

/// Everything that is asked for and can be done; the log knows what cannot.
pub(crate) fn plan(arguments: &Arguments, log: &mut Log) -> Result<Vec<Job>> {
    let entrants = entrants(arguments)?;
    let mut jobs = Vec::new();
    for family in FAMILIES {
        for &size in if arguments.quick { family.quick } else { family.sizes } {
            let bench = family.bench(size);
            if !arguments.wants(&bench) {
                continue;
            }
            for entrant in entrants.iter().filter(|entrant| entrant.families.contains(&family.name)) {
                match entrant.most_tasks {
                    Some((most, why)) if family.tasks && size > most => log.skip(&bench, &entrant.name, why),
                    _ => jobs.push(Job {
                        bench: bench.clone(),
                        family,
                        size,
                        entrant: entrant.clone(),
                        counted: entrant.countable && family.counted.contains(&size),
                    }),
                }
            }
        }
    }
    if jobs.is_empty() {
        return Err("no bench has such a name".into());
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::{FAMILIES, GO, find, plan};
    use crate::arguments::Arguments;
    use crate::report::Log;
    use crate::subject::SUBJECTS;

    #[test]
    fn every_family_that_a_subject_names_is_in_the_table() {
        let named = SUBJECTS.iter().flat_map(|subject| subject.benches.iter().map(|(family, _)| *family));
        for name in named.chain(GO.iter().copied()) {
            assert!(FAMILIES.iter().any(|family| family.name == name), "{name}");
        }
    }

    #[test]
    fn operations_come_in_whole_rounds() {
        let (family, size) = find("yield/1000").expect("in the table");
        assert_eq!([1, 20_000, 21_999].map(|n| family.operations(size, n)), [20_000, 20_000, 21_000]);
        let (family, size) = find("spawn-burst/1000").expect("in the table");
        assert_eq!([1, 1000, 2999].map(|n| family.operations(size, n)), [1000, 1000, 2000]);
        let (family, size) = find("pingpong").expect("in the table");
        assert_eq!([0, 1, 17].map(|n| family.operations(size, n)), [1, 1, 17]);
        assert!(find("yield/3").is_none() && find("pingpong/0").is_none());
    }

    #[test]
    fn what_is_not_asked_for_is_not_done() {
        let mut arguments = Arguments { only: Some("mutex".into()), ..Arguments::default() };
        let mut log = Log::default();
        let jobs = plan(&arguments, &mut log).expect("a bench");
        assert!(
            jobs.iter().any(|job| job.entrant.name == "windlass")
                && jobs.iter().all(|job| job.bench == "mutex")
        );
        arguments.only = Some("nothing".into());
        assert!(plan(&arguments, &mut log).is_err());
    }
}
