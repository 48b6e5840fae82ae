// What can go wrong: one class, told apart by `kind`, with the names of the Rust host's `Error`.

/** The kinds that the guest tells by a code of the error door (docs/abi.md section 6). */
export const KINDS = [
  'Trap',
  'NotInitialised',
  'AlreadyInitialised',
  'Ended',
  'Poisoned',
  'Deadlock',
  'WouldWait',
  'TimedOut',
  'Panicked',
  'Exited',
  'NestedTooDeep',
  'NoTask',
  'NoSuchCall',
  'StackOverflow',
  'WouldBlock',
];

const POISONING = new Set(['Trap', 'Poisoned', 'Panicked', 'StackOverflow', 'WouldBlock', 'Import']);

const TEXTS = {
  Trap: (e) => `\`${e.call}\` trapped: ${e.report}; the instance is poisoned, load a new one`,
  NotInitialised: () => 'the reactor is not initialised: call `initialize` first (and see why it failed, if you did)',
  AlreadyInitialised: () => 'the reactor is already initialised: call `initialize` once for each instance',
  Ended: (e) => `the module ended with \`exit(${e.exitCode})\` in an earlier call: load a new instance`,
  Poisoned: (e) =>
    `the instance is poisoned, load a new one: ${e.by ? `\`${e.by}\` left it half-wound (${e.report})` : e.report}`,
  Deadlock: (e) => `deadlock: nothing is runnable and no timer is pending, so the call can never finish\n${e.report}`,
  WouldWait: (e) =>
    `the call would have to wait, and this host may not block: use \`callAsync\`, or \`mayBlock: true\`\n${e.report}`,
  TimedOut: (e) => `the call's deadline passed\n${e.report}`,
  Panicked: (e) => `a task panicked; the instance is poisoned, load a new one: ${e.report}`,
  Exited: (e) => `the guest ended the module with \`exit(${e.exitCode})\` during this call`,
  NestedTooDeep: () =>
    'more than 64 calls are open: an import keeps calling the guest that calls it; return from some first',
  NoTask: (e) => `the task of the call could not be made: raise the limit of tasks or of memory\n${e.report}`,
  NoSuchCall: () => 'no such asynchronous call: it is over, or belongs to another reactor',
  StackOverflow: (e) =>
    `a task outgrew its stack; the instance is poisoned, load a new one and give the task a larger stack\n${e.report}`,
  WouldBlock: (e) =>
    `the call had to block: enable the guest's feature \`scheduler\`\n${e.report}`,
  Unknown: (e) => `the guest failed with code ${e.code}, which this host does not know: update it\n${e.report}`,
  Import: (e) =>
    `the import \`${e.import}\` failed during \`${e.call}\`; the instance is poisoned, load a new one: ${e.cause}`,
  NotLowered: (e) =>
    `the module imports \`${e.import}\`: it was not lowered; build it with \`cargo windlass build\`, or run ` +
    '`windlass-lower` on it',
  MissingImport: (e) => `the module imports \`${e.import}\`, which nobody provides: pass it to \`load\` in \`imports\``,
  AbiMismatch: (e) =>
    `the module speaks version ${e.found} of the Windlass ABI and this host version ${e.expected}: use the same release`,
  NoSuchExport: (e) => `the module has no call \`${e.call}\`; it has: ${e.available.join(', ')}`,
  Unsupported: (e) =>
    `the module does not export \`${e.export}\`: build it with Windlass and its feature \`scheduler\``,
  Signature: (e) => `the export is \`${e.declared}\`, and it was called as \`${e.given}\``,
  OutOfMemory: (e) => `the guest has no ${e.bytes} bytes of memory for an argument: pass less`,
  Protocol: (e) => `the guest broke the ABI: ${e.report}`,
  Closed: (e) => `the reactor was closed\n${e.report}`,
  Cancelled: () => 'the call was cancelled',
  Load: (e) => `the module could not be loaded: ${e.report}`,
};

/**
 * Why a reactor could not be loaded, called or waited for.
 *
 * `kind` is one of the names above, `code` the guest's code or `undefined`, `report` the guest's report or message or ''. Some
 * kinds have more: `call`, `by`, `exitCode`, `import`, `cause`, `declared`, `given`, `available`, `found`, `expected`, `bytes`.
 */
export class WindlassError extends Error {
  constructor(kind, details = {}) {
    const code = KINDS.indexOf(kind);
    const fields = { code: code < 0 ? undefined : code, report: '', ...details };
    super(TEXTS[kind](fields).trimEnd(), 'cause' in fields ? { cause: fields.cause } : undefined);
    delete fields.cause;
    this.name = 'WindlassError';
    this.kind = kind;
    Object.assign(this, fields);
  }

  /** Whether the instance refuses every call from now on because of this error. */
  get poisons() {
    return POISONING.has(this.kind);
  }
}
