/** The scenarios in the order in which they are played. */

import { accounting } from './accounting.js';
import { flush } from './flush.js';
import { knock } from './knock.js';
import { pftabled } from './pftabled.js';
import { restart } from './restart.js';
import type { Scenario } from './scenario.js';

export const scenarios: readonly Scenario[] = [accounting, knock, pftabled, flush, restart];
