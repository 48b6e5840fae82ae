// QuickJS runs scripts whose calls of host functions, and of the clock, suspend the interpreter.

import { readFileSync, readdirSync } from 'node:fs';

import { sameAsBase } from '../harness/load.mjs';
import { run } from './host.mjs';

const scripts = new URL('scripts/', import.meta.url);

for (const file of readdirSync(scripts).sort()) {
  const source = readFileSync(new URL(file, scripts), 'utf8');
  sameAsBase('quickjs', file, (module, suspension) => run(module, suspension, source));
}
