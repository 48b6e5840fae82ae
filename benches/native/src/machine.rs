//! What was measured on, and who.

use std::process::Command;

use bench_common::machine::{name, package, version};

use crate::arguments::Arguments;
use crate::child;
use crate::error::Result;
use crate::plan::Entrant;
use crate::subject::SUBJECTS;

/// A line each.
pub(crate) fn describe(arguments: &Arguments, entrants: &[Entrant]) -> Result<String> {
    let cpus: Vec<String> = child::cpus(2).iter().map(ToString::to_string).collect();
    let pinned = match cpus.last() {
        None => "not pinned: this system has no call for it".to_owned(),
        Some(last) => format!("pinned to CPU {last}, of pool/* to {}", cpus.join(" and ")),
    };
    let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout);
    let rustc =
        rustc.map_or("rustc unknown".to_owned(), |said| String::from_utf8_lossy(&said).trim().to_owned());
    let mut lines = vec![format!("machine: {}", name()), pinned, rustc];
    for entrant in entrants {
        let subject = SUBJECTS.iter().find(|subject| subject.name == entrant.name);
        let about = match (subject, entrant.name.as_str()) {
            (Some(subject), _) => {
                let packages: Vec<String> = subject.packages.iter().map(|name| package(name)).collect();
                [packages.join(", "), subject.about.to_owned()].join("; ")
            }
            (None, "go") => version(&entrant.program)?,
            (None, _) => "ours, with lto = \"fat\" and codegen-units = 1".to_owned(),
        };
        lines.push(format!("{}: {}", entrant.name, about.trim_start_matches("; ")));
    }
    for (name, reason) in &arguments.missing {
        lines.push(format!("{name}: left out: {reason}"));
    }
    Ok(lines.join("\n"))
}
