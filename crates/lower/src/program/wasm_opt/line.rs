//! A command line of `wasm-opt`, read.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::program::failure::Failure;
use crate::program::sections::Strip;
use crate::program::wasm_opt::MODIFIES_ASYNCIFY;
use crate::program::wasm_opt::option::{self, Effect, Role, Value};

/// An option that is left to the installed program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pub(crate) name: String,
    /// The option as it was written, with its value.
    words: Vec<String>,
    pub(crate) effect: Effect,
    /// Whether `--asyncify` stands before it.
    after: bool,
}

/// The line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// None: standard input.
    pub(crate) input: Option<PathBuf>,
    /// None: nothing is written. `-`: standard output.
    pub(crate) output: Option<PathBuf>,
    /// The source map to write.
    pub(crate) output_map: Option<PathBuf>,
    pub(crate) asyncify: bool,
    /// Arguments to passes, by key, in order.
    pub(crate) pass_arguments: Vec<(String, String)>,
    pub(crate) optimize_level: u32,
    pub(crate) shrink_level: u32,
    pub(crate) quiet: bool,
    debuginfo: bool,
    strip: Strip,
    pub(crate) others: Vec<Other>,
}

impl Line {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Line, Failure> {
        let mut line = Line::default();
        let mut input = None;
        let mut words = arguments.iter().map(|argument| {
            argument.to_str().ok_or_else(|| {
                Failure::new(format!("`{}` is not Unicode", argument.display()))
                    .with_help("give files names that are")
            })
        });
        while let Some(word) = words.next() {
            let word = word?;
            if !word.starts_with('-') || word == "-" {
                if let Some(first) = input.replace(word) {
                    return Err(Failure::new(format!("two modules to read, `{first}` and `{word}`"))
                        .with_help("wasm-opt reads one; the file to write goes behind `-o`"));
                }
                continue;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let (role, takes) = option::look_up(name);
            let mut written = vec![word.to_owned()];
            let value = match (attached, takes) {
                (Some(value), _) => Some(value),
                (None, Value::None) => None,
                (None, Value::Next) => {
                    let value = words
                        .next()
                        .transpose()?
                        .ok_or_else(|| Failure::new(format!("`{name}` needs a value behind it")))?;
                    written.push(value.to_owned());
                    Some(value)
                }
            };
            line.take(name, role, value, written)?;
        }
        line.input = input.filter(|input| *input != "-").map(PathBuf::from);
        Ok(line)
    }

    fn take(
        &mut self,
        name: &str,
        role: Role,
        value: Option<&str>,
        words: Vec<String>,
    ) -> Result<(), Failure> {
        let effect = match (role, value) {
            (Role::Output, Some(path)) => {
                if self.output.replace(PathBuf::from(path)).is_some() {
                    return Err(Failure::new("`-o` is given twice").with_help("one module is written"));
                }
                return Ok(());
            }
            (Role::OutputSourceMap, Some(path)) => {
                self.output_map = Some(PathBuf::from(path));
                Effect::Maps
            }
            (Role::Asyncify, _) => {
                if std::mem::replace(&mut self.asyncify, true) {
                    return Err(Failure::new("`--asyncify` is given twice")
                        .with_help("a module is lowered once: leave one out"));
                }
                return Ok(());
            }
            (Role::PassArgument, Some(argument)) => {
                let (key, value) = argument.split_once('@').unwrap_or((argument, "1"));
                self.pass_arguments.push((key.to_owned(), value.to_owned()));
                if key.starts_with("asyncify") {
                    return Ok(());
                }
                Effect::Modifies
            }
            (Role::Debuginfo, _) => {
                self.debuginfo = true;
                return Ok(());
            }
            (Role::Quiet, _) => {
                self.quiet = true;
                Effect::Modifies
            }
            (Role::StripDebug, _) => {
                self.strip.debug = true;
                return Ok(());
            }
            (Role::StripDwarf, _) => {
                self.strip.dwarf = true;
                return Ok(());
            }
            (Role::StripProducers, _) => {
                self.strip.producers = true;
                return Ok(());
            }
            (Role::StripTargetFeatures, _) => {
                self.strip.target_features = true;
                return Ok(());
            }
            (Role::OptimizeLevel, level) => {
                self.optimize_level = number(name, level)?;
                Effect::Modifies
            }
            (Role::ShrinkLevel, level) => {
                self.shrink_level = number(name, level)?;
                Effect::Modifies
            }
            (Role::Optimize(optimize, shrink), _) => {
                (self.optimize_level, self.shrink_level) = (optimize, shrink);
                if optimize == 0 { Effect::Modifies } else { Effect::Optimises }
            }
            (Role::Other(effect), _) => effect,
            (Role::Output | Role::OutputSourceMap | Role::PassArgument, None) => {
                return Err(Failure::new(format!("`{name}` needs a value behind it")));
            }
        };
        self.others.push(Other { name: name.to_owned(), words, effect, after: self.asyncify });
        Ok(())
    }

    /// Refuses, in a line that lowers, what cannot be done in the same run.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for other in &self.others {
            let name = &other.name;
            if name.starts_with(MODIFIES_ASYNCIFY) {
                return Err(Failure::new(format!("`{name}` is for the code that Binaryen's own pass makes"))
                    .with_help("leave it out"));
            }
            if other.effect == Effect::Ends {
                return Err(Failure::new(format!("`{name}` does not go with `--asyncify`"))
                    .with_help("leave it out, or run wasm-opt with it on the lowered module"));
            }
            if other.effect == Effect::Changes && other.after {
                return Err(Failure::new(format!(
                    "`{name}` stands after `--asyncify`, but other passes run before the lowering"
                ))
                .with_help(
                    "put it before, if that is the same, or run wasm-opt with it on the lowered module",
                ));
            }
        }
        Ok(())
    }

    /// Whether something is left to the installed program.
    pub(crate) fn runs_others(&self, lists: bool) -> bool {
        self.others.iter().any(|other| other.effect.runs() && !other.is_lost(lists))
    }

    /// The arguments for the installed program. `lists`: functions are listed by name. `inline`: functions may be
    /// inlined after the place of `--asyncify`.
    pub(crate) fn others(&self, lists: bool, inline: bool) -> Vec<&str> {
        let kept: Vec<&Other> = self
            .others
            .iter()
            .filter(|other| other.effect != Effect::Maps && !other.is_lost(lists))
            .collect();
        let mut words: Vec<&str> = kept.iter().flat_map(|other| &other.words).map(String::as_str).collect();
        if !inline && kept.iter().any(|other| other.after && other.effect == Effect::Optimises) {
            // A function that calls the module `asyncify` is treated apart, and must not become part of another.
            words.splice(0..0, ["-aimfs=0", "-fimfs=0", "-ocimfs=0"]);
        }
        words
    }

    /// The optimisations that listed functions do not allow.
    pub(crate) fn lost(&self, lists: bool) -> Vec<&str> {
        self.others.iter().filter(|other| other.is_lost(lists)).map(|other| other.name.as_str()).collect()
    }

    /// All optimisations.
    pub(crate) fn optimisers(&self) -> Vec<&str> {
        let optimisers = self.others.iter().filter(|other| other.effect == Effect::Optimises);
        optimisers.map(|other| other.name.as_str()).collect()
    }

    /// The first option without which the module would be another.
    pub(crate) fn change(&self) -> Option<&str> {
        self.others.iter().find(|other| other.effect.matters()).map(|other| other.name.as_str())
    }

    /// The input, for messages.
    pub(crate) fn input_name(&self) -> PathBuf {
        self.input.clone().unwrap_or_else(|| PathBuf::from("-"))
    }

    /// Whether function names are written: as in Binaryen, `-g` does so also where debug information is stripped.
    pub(crate) fn keeps_names(&self) -> bool {
        self.debuginfo
    }

    /// The custom sections that are not written.
    pub(crate) fn strip(&self) -> Strip {
        Strip { debug: !self.keeps_names(), ..self.strip }
    }
}

impl Other {
    /// Whether it is left out, as it would run before functions are looked up by names that it may remove.
    fn is_lost(&self, lists: bool) -> bool {
        lists && self.after && self.effect == Effect::Optimises
    }
}

fn number(name: &str, value: Option<&str>) -> Result<u32, Failure> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Failure::new(format!("`{name}` needs a number behind it, such as 2")))
}
