//! What the book says of the tests is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every name of a rule's test in `text`.
fn rules(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| {
            word.starts_with("rule_")
                && word.as_bytes().get(5).is_some_and(u8::is_ascii_digit)
                && word.len() > 8
        })
        .map(str::to_owned)
        .collect()
}

fn in_files(dir: &Path, ending: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a folder of tests") {
        let path = entry.expect("an entry").path();
        if path.to_str().is_some_and(|path| path.ends_with(ending)) {
            found.extend(rules(&fs::read_to_string(&path).expect("a test file")));
        }
    }
}

#[test]
fn every_test_of_a_rule_is_listed_with_it_and_every_listed_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = rules(&fs::read_to_string(root.join("docs/semantics.md")).expect("the chapter"));
    let mut tests = BTreeSet::new();
    in_files(&root.join("tests"), ".rs", &mut tests);
    in_files(&root.join("crates/host/tests/rules"), ".rs", &mut tests);
    in_files(&root.join("tests/node"), ".test.mjs", &mut tests);
    assert!(tests.len() > 100, "the tests were found");
    for number in 1..=13 {
        let prefix = format!("rule_{number:02}_");
        assert!(tests.iter().any(|test| test.starts_with(&prefix)), "rule {number} has no test");
    }
    assert_eq!(book.difference(&tests).collect::<Vec<_>>(), [""; 0], "in the book, but no test");
    assert_eq!(tests.difference(&book).collect::<Vec<_>>(), [""; 0], "a test, but not in the book");
}
