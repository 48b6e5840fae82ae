// The host's side of `docs/abi.md`, section 7, for tests that never wait: wasm-bindgen's glue imports it by its name.
"use strict";

exports.now = () => process.hrtime.bigint();
exports.wait = () => 1; // May not block.
exports.wake_at = () => {};
exports.log = () => {}; // The glue keeps the memory to itself, so the text cannot be read.
