// Lowers each program in each way. What did not change since is not lowered again.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import { DIRECTORY, LOWERINGS, modulePath } from './lowerings.mjs';
import { needs, start } from './tools.mjs';

/** Our program: what is under test. */
export function windlassLower() {
  const program = process.env.WINDLASS_LOWER;
  if (program === undefined) {
    throw new Error('WINDLASS_LOWER does not name the program windlass-lower; `WINDLASS_LOWERINGS=binaryen` does without');
  }
  return program;
}

/** Binaryen's, which must not be ours under its name. */
export function wasmOpt() {
  return process.env.WINDLASS_WASM_OPT ?? needs('wasm-opt', 'apt-get install binaryen');
}

/** The command that lowers `program`. */
function command(lowering, program, output) {
  const input = modulePath(program.name);
  if (lowering.own) {
    const suspending = program.suspending.flatMap((name) => ['--suspending-import', name]);
    return [windlassLower(), input, '-o', output, '--abi', 'asyncify', ...suspending, ...lowering.args];
  }
  const pass =
    program.suspending.length > 0 ? `asyncify-imports@${program.suspending.join(',')}` : 'asyncify-ignore-imports';
  return [wasmOpt(), input, '-o', output, '--all-features', '--asyncify', `--pass-arg=${pass}`, ...lowering.args];
}

/** Changes with the module, with the command and with the program that is called. */
function fingerprint([program, ...args], input) {
  const { mtimeMs, size } = statSync(program);
  const hash = createHash('sha256').update(JSON.stringify([program, mtimeMs, size, args]));
  return hash.update(readFileSync(input)).digest('hex');
}

/** Whether it was done; a failure is the tests' to report, next to where the module would be. */
async function lowerOne(lowering, program) {
  const output = modulePath(program.name, lowering);
  const [failed, mark] = [`${output}.error`, `${output}.from`];
  const line = command(lowering, program, output);
  const from = fingerprint(line, modulePath(program.name));
  if (existsSync(output) && existsSync(mark) && readFileSync(mark, 'utf8') === from) return;
  for (const path of [output, failed, mark]) rmSync(path, { force: true });
  try {
    await start(line[0], line.slice(1));
    writeFileSync(mark, from);
  } catch (error) {
    writeFileSync(failed, error.message);
  }
}

/** Lowers what there is, several at a time. */
export async function lowerAll(programs) {
  for (const { name } of LOWERINGS) mkdirSync(`${DIRECTORY}/${name}`, { recursive: true });
  // For the tests in Rust.
  writeFileSync(`${DIRECTORY}/lowerings`, LOWERINGS.map(({ name, stable }) => `${name} ${stable ? 'stable' : ''}`.trim()).join('\n'));
  const waiting = LOWERINGS.flatMap((lowering) => programs.map((program) => [lowering, program]));
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await lowerOne(...next);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}
