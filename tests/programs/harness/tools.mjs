// Other programs that the tests run.

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter } from 'node:path';

/** The program of that name in PATH, in none of the folders of `except`; else an error that says how to install it. */
export function needs(name, install, except = []) {
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter((folder) => !except.includes(folder))) {
    const path = `${folder}/${name}`;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new Error(`\`${name}\` is missing; install it with\n  ${install}`);
}

const line = (program, args) => [program, ...args].join(' ');

/** Runs a program and gives what it writes to standard output; it fails with what it wrote to the other. */
export function run(program, args, { help, ...options } = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', ...options });
  if (status === 0) return stdout;
  const how = error?.message ?? `ended with ${signal ?? `status ${status}`}\n${stderr}${stdout}`;
  throw new Error([`${line(program, args)}: ${how}`, help].filter((part) => part !== undefined).join('\n'));
}

/** The same, while others run. */
export function start(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) resolve(said);
      else reject(new Error(`${line(program, args)}: ended with ${signal ?? `status ${status}`}\n${said}`));
    });
  });
}

/** The surroundings of emcc. */
export function emscriptenSurroundings() {
  // Where Debian has emcc's JavaScript libraries; another Node than Debian's does not look there.
  const libraries = '/usr/share/nodejs';
  return existsSync(libraries) ? { ...process.env, NODE_PATH: libraries } : { ...process.env };
}
