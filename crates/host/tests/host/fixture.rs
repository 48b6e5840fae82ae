//! The guests made by hand are committed in binary, too, for hosts that have no assembler.

use std::{env, fs, path::Path};

#[test]
fn the_binaries_of_the_handmade_guests_are_those_of_their_texts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node");
    let overwrite = env::var_os("WINDLASS_OVERWRITE").is_some();
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).expect("tests/node is there") {
        let text = entry.expect("an entry").path();
        if text.extension().is_none_or(|extension| extension != "wat") {
            continue;
        }
        let bytes = wat::parse_file(&text).expect("the text is well-formed");
        let binary = text.with_extension("wasm");
        if overwrite {
            fs::write(&binary, &bytes).expect("tests/node can be written");
        }
        let same = fs::read(&binary).is_ok_and(|committed| committed == bytes);
        assert!(same, "{} is not up to date: run this test with WINDLASS_OVERWRITE=1", binary.display());
        names.extend(text.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    assert_eq!(names, ["fake", "next_abi", "not_lowered", "plain"]);
}
