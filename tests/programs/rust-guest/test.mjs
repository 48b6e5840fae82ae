// The program in this folder is suspended wherever it reads, prints, looks at the clock or calls `tick`.

import { sameAsBase } from '../harness/load.mjs';
import { run } from './host.mjs';

sameAsBase('rust', 'program', run);
