/** The scenarios in the order in which they are played. */

import { accounting } from './accounting.js';
import { flush } from './flush.js';
import { knock } from './knock.js';
import { pftabled } from './pftabled.js';
import { quota } from './quota.js';
import { restart } from './restart.js';
import { scan } from './scan.js';
import type { Scenario } from './scenario.js';

export const scenarios: readonly Scenario[] = [accounting, scan, knock, pftabled, quota, flush, restart];
