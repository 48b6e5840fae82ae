// The entry of the tests with real programs:
//
//   node tests/programs/run.mjs             makes and lowers the programs, and runs them in Node
//   node tests/programs/run.mjs --prepare   only makes and lowers them, for `cargo test -p program-tests -- --ignored`
//   node tests/programs/run.mjs quickjs...  runs the tests of these folders only
//
// WINDLASS_LOWER names the program windlass-lower. WINDLASS_LOWERINGS, a list of names out of harness/lowerings.mjs, chooses ways.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const TESTS = ['quickjs', 'sqlite', 'rust-guest', 'coroutines', 'emscripten', 'exceptions', 'asyncify'];

/** How long a folder's tests may take, in milliseconds: a guest that was lowered wrongly may run for ever. */
const LIMIT = 600_000;

/** npm, unless the packages are those of the lock file already. */
function installPackages() {
  const [lock, mark] = [here('package-lock.json'), here('node_modules/.installed-from')];
  if (existsSync(mark) && readFileSync(mark, 'utf8') === readFileSync(lock, 'utf8')) return;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', args, { cwd: here('.'), stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`\`npm ci\` failed in tests/programs: ${error?.message ?? `status ${status}`}; is npm installed?`);
  copyFileSync(lock, mark);
}

/** Makes and lowers the programs that the tests in these folders use. */
async function prepare(folders) {
  installPackages();
  // They need the packages.
  const { PROGRAMS, makeBases } = await import('./harness/programs.mjs');
  const { lowerAll } = await import('./harness/lower.mjs');
  const programs = PROGRAMS.filter(({ folder }) => folders.includes(folder));
  makeBases(programs);
  await lowerAll(programs);
}

const args = process.argv.slice(2);
const unknown = args.filter((arg) => arg !== '--prepare' && !TESTS.includes(arg));
const named = TESTS.filter((name) => args.includes(name));
const folders = named.length === 0 ? TESTS : named;
try {
  if (unknown.length > 0) throw new Error(`no tests named ${unknown.join(', ')}; there are ${TESTS.join(', ')}`);
  await prepare(folders);
  if (!args.includes('--prepare')) {
    const files = folders.map((name) => here(`${name}/test.mjs`));
    const node = ['--test', '--test-reporter=tap', `--test-timeout=${LIMIT}`, ...files];
    const { status } = spawnSync(process.execPath, node, { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  }
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
