// A host for SQLite as Emscripten linked it: files in this program's memory, a clock that ticks each time it is read.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const ERRNO = { EBADF: 8, EEXIST: 20, ENOENT: 44 };
const O = { CREAT: 0o100, EXCL: 0o200, TRUNC: 0o1000 };
const [SQLITE_ROW, SQLITE_DONE] = [100, 101];
const NAME = '/library.db';

/** `[sql, times]`. */
function statements() {
  const text = readFileSync(new URL('workload.sql', import.meta.url), 'utf8');
  return text.split('\n\n').flatMap((block) => {
    const repeat = /^-- repeat (\d+)$/m.exec(block);
    const sql = block.replace(/^--.*\n?/gm, '').trim();
    return sql === '' ? [] : [[sql, repeat === null ? undefined : Number(repeat[1])]];
  });
}

/** A file, whose bytes grow. */
class File {
  #bytes = new Uint8Array(1024);
  size = 0;

  get bytes() {
    return this.#bytes.subarray(0, this.size);
  }

  resize(size) {
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(2 * size);
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    if (size < this.size) this.#bytes.fill(0, size, this.size);
    this.size = size;
  }
}

class Sqlite {
  #suspension;
  #exports;
  #memory = new WebAssembly.Memory({ initial: 256, maximum: 32768 });
  #files = new Map();
  #open = new Map();
  #milliseconds = 1_700_000_000_000;
  #database;

  constructor(module, suspension) {
    this.#suspension = suspension;
    const [env, wasi] = [this.#env(), this.#wasi()];
    for (const name of ['fd_read', 'fd_write', 'fd_seek']) wasi[name] = suspension.import(name, wasi[name]);
    env.emscripten_date_now = suspension.import('emscripten_date_now', env.emscripten_date_now, 'f64');
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      const known = from === 'env' ? env : wasi;
      if (kind === 'function') known[name] ??= () => assert.fail(`SQLite calls import ${from}.${name}`);
    }
    env.memory = this.#memory;
    this.#exports = new WebAssembly.Instance(module, { env, wasi_snapshot_preview1: wasi }).exports;
    suspension.attach(this.#exports, this.#memory, this.#exports);
    this.#exports.__wasm_call_ctors();
  }

  /** What each statement gave, as text; the file at last. */
  run() {
    const [name, into] = [this.#toC(NAME), this.#exports.malloc(4)];
    assert.equal(this.#suspension.call('sqlite3_open', name, into), 0);
    this.#database = this.#view.getUint32(into, true);
    const results = statements().map(([sql, times]) => `${sql}\n${this.#statement(sql, times).join('\n')}`);
    assert.equal(this.#suspension.call('sqlite3_close_v2', this.#database), 0);
    this.#exports.free(name);
    this.#exports.free(into);
    for (const [path, { bytes }] of this.#files) {
      results.push(`${path}: ${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`);
    }
    return results;
  }

  #statement(sql, times) {
    const [text, into] = [this.#toC(sql), this.#exports.malloc(4)];
    const prepared = this.#suspension.call('sqlite3_prepare_v2', this.#database, text, -1, into, 0);
    const statement = this.#view.getUint32(into, true);
    const rows = prepared === 0 ? this.#rows(statement, times) : [this.#error()];
    this.#suspension.call('sqlite3_finalize', statement);
    this.#exports.free(text);
    this.#exports.free(into);
    return rows;
  }

  #rows(statement, times = 1) {
    const rows = [];
    for (let time = 1; time <= times; time += 1) {
      if (times > 1) assert.equal(this.#exports.sqlite3_bind_int(statement, 1, time), 0);
      let code;
      while ((code = this.#suspension.call('sqlite3_step', statement)) === SQLITE_ROW) rows.push(this.#row(statement));
      if (code !== SQLITE_DONE) rows.push(this.#error());
      this.#suspension.call('sqlite3_reset', statement);
    }
    return rows;
  }

  #row(statement) {
    const columns = [];
    for (let column = 0; column < this.#exports.sqlite3_column_count(statement); column += 1) {
      columns.push(this.#fromC(this.#exports.sqlite3_column_text(statement, column)));
    }
    return columns.join('|');
  }

  #error() {
    return `error: ${this.#fromC(this.#exports.sqlite3_errmsg(this.#database))}`;
  }

  get #view() {
    return new DataView(this.#memory.buffer);
  }

  #toC(text) {
    const bytes = Buffer.from(`${text}\0`);
    const pointer = this.#exports.malloc(bytes.length);
    new Uint8Array(this.#memory.buffer, pointer, bytes.length).set(bytes);
    return pointer;
  }

  #fromC(pointer) {
    if (pointer === 0) return '';
    const bytes = new Uint8Array(this.#memory.buffer, pointer);
    return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
  }

  #stat(path, into) {
    const file = this.#files.get(path);
    if (file === undefined && path !== '/') return -ERRNO.ENOENT;
    new Uint8Array(this.#memory.buffer, into, 112).fill(0);
    const inode = 1 + [...this.#files.keys()].indexOf(path);
    this.#view.setInt32(into + 8, inode, true);
    this.#view.setInt32(into + 12, file === undefined ? 0o40755 : 0o100644, true);
    this.#view.setInt32(into + 16, 1, true);
    this.#view.setBigInt64(into + 40, BigInt(file?.size ?? 0), true);
    this.#view.setInt32(into + 48, 4096, true);
    this.#view.setBigInt64(into + 104, BigInt(inode), true);
    return 0;
  }

  /** With paths from the root and no directories but that. */
  #env() {
    return {
      __syscall_faccessat: (_at, path) => (this.#files.has(this.#fromC(path)) ? 0 : -ERRNO.ENOENT),
      __syscall_fchmod: () => 0,
      __syscall_fchown32: () => 0,
      // F_GETLK (12): nobody else holds a lock; all others succeed.
      __syscall_fcntl64: (_fd, command, varargs) => {
        if (command === 5 || command === 12) this.#view.setInt16(this.#view.getInt32(varargs, true), 2, true);
        return 0;
      },
      __syscall_fstat64: (fd, into) => this.#stat(this.#open.get(fd)?.path, into),
      __syscall_ftruncate64: (fd, size) => {
        this.#open.get(fd).file.resize(Number(size));
        return 0;
      },
      __syscall_getcwd: (into) => {
        new Uint8Array(this.#memory.buffer, into, 2).set(Buffer.from('/\0'));
        return 2;
      },
      __syscall_lstat64: (path, into) => this.#stat(this.#fromC(path), into),
      __syscall_newfstatat: (_at, path, into) => this.#stat(this.#fromC(path), into),
      __syscall_openat: (_at, name, flags) => {
        const path = this.#fromC(name);
        if (!this.#files.has(path) && ((flags & O.CREAT) === 0 || path.startsWith('/dev'))) return -ERRNO.ENOENT;
        if (this.#files.has(path) && (flags & O.EXCL) !== 0) return -ERRNO.EEXIST;
        if (!this.#files.has(path)) this.#files.set(path, new File());
        const file = this.#files.get(path);
        if ((flags & O.TRUNC) !== 0) file.resize(0);
        let fd = 3;
        while (this.#open.has(fd)) fd += 1;
        this.#open.set(fd, { path, file, at: 0 });
        return fd;
      },
      __syscall_stat64: (path, into) => this.#stat(this.#fromC(path), into),
      __syscall_unlinkat: (_at, path) => (this.#files.delete(this.#fromC(path)) ? 0 : -ERRNO.ENOENT),
      __syscall_utimensat: () => 0,
      _emscripten_get_now_is_monotonic: () => 1,
      emscripten_date_now: () => (this.#milliseconds += 1),
      emscripten_get_now: () => (this.#milliseconds += 1),
      emscripten_resize_heap: (size) => {
        const pages = Math.ceil(((size >>> 0) - this.#memory.buffer.byteLength) / 65536);
        if (pages > 0) this.#memory.grow(pages);
        return 1;
      },
    };
  }

  /** Each vector of an `iovec` array. */
  *#vectors(pointer, count) {
    for (let index = 0; index < count; index += 1) {
      const [start, length] = new Uint32Array(this.#memory.buffer, pointer + 8 * index, 2);
      yield new Uint8Array(this.#memory.buffer, start, length);
    }
  }

  #wasi() {
    return {
      environ_get: () => 0,
      environ_sizes_get: (count, size) => {
        this.#view.setInt32(count, 0, true);
        this.#view.setInt32(size, 0, true);
        return 0;
      },
      fd_close: (fd) => (this.#open.delete(fd) ? 0 : ERRNO.EBADF),
      fd_read: (fd, vectors, count, into) => {
        const open = this.#open.get(fd);
        let read = 0;
        for (const vector of this.#vectors(vectors, count)) {
          const part = open.file.bytes.subarray(open.at, open.at + vector.length);
          vector.set(part);
          open.at += part.length;
          read += part.length;
        }
        this.#view.setInt32(into, read, true);
        return 0;
      },
      fd_seek: (fd, offset, whence, into) => {
        const open = this.#open.get(fd);
        open.at = Number(offset) + [0, open.at, open.file.size][whence];
        this.#view.setBigInt64(into, BigInt(open.at), true);
        return 0;
      },
      fd_sync: () => 0,
      fd_write: (fd, vectors, count, into) => {
        const open = this.#open.get(fd);
        let written = 0;
        for (const vector of this.#vectors(vectors, count)) {
          if (open.at + vector.length > open.file.size) open.file.resize(open.at + vector.length);
          open.file.bytes.set(vector, open.at);
          open.at += vector.length;
          written += vector.length;
        }
        this.#view.setInt32(into, written, true);
        return 0;
      },
    };
  }
}

/** What the workload gives. */
export function run(module, suspension) {
  return new Sqlite(module, suspension).run();
}
