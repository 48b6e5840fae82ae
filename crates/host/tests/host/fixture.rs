//! The fake guest is committed in binary, too, for hosts that have no assembler.

use std::{env, fs, path::Path};

#[test]
fn the_binary_of_the_fake_guest_is_that_of_its_text() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node/fake.wasm");
    let bytes = crate::fake::bytes();
    if env::var_os("WINDLASS_OVERWRITE").is_some() {
        fs::write(&path, &bytes).expect("tests/node can be written");
    }
    let committed = fs::read(&path).unwrap_or_default();
    assert!(
        committed == bytes,
        "tests/node/fake.wasm is not up to date: run this test with WINDLASS_OVERWRITE=1"
    );
}
