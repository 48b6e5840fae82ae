// SQLite works on a database file whose reads, writes and seeks suspend it.

import { sameAsBase } from '../harness/load.mjs';
import { run } from './host.mjs';

sameAsBase('sqlite', 'workload', run, { chances: [{ chance: 1, seed: 1 }, { chance: 0.3, seed: 2 }] });
