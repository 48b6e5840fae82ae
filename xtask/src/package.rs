//! What a registry would get: each publishable package's files and metadata.

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use serde_json::Value;

use crate::workspace::Workspace;

/// What a publishable package must say of itself.
const METADATA: &[&str] =
    &["description", "license", "repository", "readme", "rust_version", "keywords", "categories"];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata = process::output(workspace.cargo("metadata").args(["--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| Error::new(format!("`cargo metadata` is not understood: {error}")))?;
    let mut complaints = Vec::new();
    for package in array(&metadata, "packages") {
        // `publish = false` shows as an empty list of registries.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = package["name"].as_str().unwrap_or_default();
        for key in METADATA {
            let empty = match &package[key] {
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                _ => true,
            };
            if empty {
                complaints.push(format!("{name}: `{key}` is missing in Cargo.toml"));
            }
        }
        let listed = process::output(workspace.cargo("package").args([
            "--list",
            "--allow-dirty",
            "--quiet",
            "--package",
            name,
        ]))?;
        let has = |file: &str| listed.lines().any(|line| line == file);
        // Cargo copies a readme from outside the package's directory to its root.
        let readme = package["readme"].as_str().unwrap_or_default();
        let readme = readme.rsplit('/').next().unwrap_or_default();
        if !has(readme) {
            complaints.push(format!("{name}: the package would lack its readme `{readme}`"));
        }
        for source in sources(package).filter(|source| !has(source)) {
            complaints.push(format!("{name}: the package would lack `{source}`"));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::new(complaints.join("\n       ")))
}

/// The root files of the library and the programs, relative to the package.
fn sources(package: &Value) -> impl Iterator<Item = &str> {
    let dir = package["manifest_path"]
        .as_str()
        .and_then(|manifest| manifest.strip_suffix("Cargo.toml"))
        .unwrap_or_default();
    array(package, "targets")
        .iter()
        .filter(|target| {
            let kinds = array(target, "kind");
            kinds.iter().any(|kind| kind == "lib" || kind == "proc-macro" || kind == "bin")
        })
        .filter_map(move |target| target["src_path"].as_str()?.strip_prefix(dir))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
