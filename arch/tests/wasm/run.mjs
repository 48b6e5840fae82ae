#!/usr/bin/env node
// Runs the conformance cases of a lowered module: node run.mjs MODULE.wasm [PART-OF-A-NAME]
// Each case has an instance of its own, because one that failed leaves its instance poisoned.

import { readFile } from "node:fs/promises";

const [path, part = ""] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(path));

async function instance() {
  let text = "";
  const read = (at, length) => new TextDecoder().decode(new Uint8Array(exports.memory.buffer, at, length));
  const { exports } = await WebAssembly.instantiate(module, {
    conformance: {
      call_back: (f, arg) => exports.called_back(f, arg),
      report: (at, length) => void (text += read(at, length)),
    },
  });
  return { exports, read, report: () => text };
}

const { exports, read } = await instance();
let failed = 0;
for (let i = 0; i < exports.case_count(); i++) {
  const name = read(exports.case_name_ptr(i), exports.case_name_len(i));
  if (!name.includes(part)) continue;
  const fresh = await instance();
  try {
    if (fresh.exports.run_case(i) !== 1) throw new Error("refused: the instance is poisoned");
    console.log(`${name} ... ok`);
  } catch (error) {
    failed++;
    console.log(`${name} ... FAILED\n${fresh.report()}${error.stack}`);
  }
}
console.log(`${exports.case_count()} cases, ${failed} failed`);
process.exit(failed ? 1 : 0);
