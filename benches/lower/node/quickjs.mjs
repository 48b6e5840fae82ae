// QuickJS, the package @jitl/quickjs-wasmfile-release-sync 0.32 or a lowering of it, with just the host that it needs: no
// files, a clock that stands still, no host functions. src/quickjs.rs is the same for wasmtime; names are Emscripten's.

/** Emscripten's names of the exports. */
const INITIALIZE = 'u';
const MALLOC = 'v';
const NEW_RUNTIME = 'K';
const FREE = 'M';
const NEW_CONTEXT = 'N';
const FREE_VALUE = 'P';
const FREE_CSTRING = 'S';
const RESOLVE_EXCEPTION = 'na';
const DUMP = 'oa';
const EVAL = 'pa';

const PAGE = 65536;

export class QuickJs {
  #exports;
  #memory = new WebAssembly.Memory({ initial: 256, maximum: 32768 });
  #context;
  #source;
  #length;
  #name;

  /** An instance that has `program` in its memory. */
  constructor(module, program) {
    this.#exports = new WebAssembly.Instance(module, { a: this.#imports() }).exports;
    this.#exports[INITIALIZE]();
    this.#context = this.#exports[NEW_CONTEXT](this.#exports[NEW_RUNTIME](), 0);
    const bytes = new TextEncoder().encode(program);
    this.#source = this.#write(bytes);
    this.#length = bytes.length;
    this.#name = this.#write(new TextEncoder().encode('bench.js'));
  }

  /** Runs the program; returns a handle of its result. */
  evaluate() {
    return this.#exports[EVAL](this.#context, this.#source, this.#length, this.#name, 0, 0);
  }

  /** The result as text. Frees it. */
  take(value) {
    const { [RESOLVE_EXCEPTION]: resolve, [DUMP]: dump } = this.#exports;
    const thrown = resolve(this.#context, value);
    if (thrown !== 0) throw new Error(`the program threw ${this.#text(dump(this.#context, thrown))}`);
    const text = this.#text(dump(this.#context, value));
    this.#exports[FREE_VALUE](this.#context, value);
    return text;
  }

  #write(bytes) {
    const at = this.#exports[MALLOC](bytes.length + 1);
    const target = new Uint8Array(this.#memory.buffer, at, bytes.length + 1);
    target.set(bytes);
    target[bytes.length] = 0;
    return at;
  }

  #text(at) {
    const bytes = new Uint8Array(this.#memory.buffer, at);
    const text = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
    this.#exports[FREE_CSTRING](this.#context, at);
    return text;
  }

  #imports() {
    const fails = (name) => () => {
      throw new Error(`QuickJS called its import ${name}`);
    };
    const zero = () => 0;
    return {
      a: this.#memory,
      b: fails('assert'),
      c: zero,
      d: () => 52,
      e: zero,
      f: (count, size) => {
        new Uint32Array(this.#memory.buffer)[count >> 2] = 0;
        new Uint32Array(this.#memory.buffer)[size >> 2] = 0;
        return 0;
      },
      g: fails('normalize module'),
      h: fails('load module'),
      i: zero,
      j: zero,
      k: (size) => this.#grow(size >>> 0),
      l: () => {},
      m: () => {},
      n: () => {},
      o: () => 70,
      p: () => 1.7e12,
      q: fails('abort'),
      r: fails('exit'),
      s: fails('call function'),
      t: () => {},
    };
  }

  #grow(size) {
    const pages = Math.ceil(size / PAGE) - this.#memory.buffer.byteLength / PAGE;
    try {
      this.#memory.grow(Math.max(pages, 0));
      return 1;
    } catch {
      return 0;
    }
  }
}
