/** All routes. A new file of routes is one line here. */

import type { Routes } from '../api.js';
import { accountRoutes } from './accounts.js';
import { conditionRoutes } from './conditions.js';
import { entryRoutes } from './entries.js';
import { eventRoutes } from './events.js';
import { knockRoutes } from './knocks.js';
import { metricsRoutes } from './metrics.js';
import { pageRoutes } from './page.js';
import { policyRoutes } from './policy.js';
import { quotaRoutes } from './quotas.js';
import { rateRoutes } from './rates.js';
import { stateRoutes } from './state.js';
import { statusRoutes } from './status.js';
import { tableRoutes } from './tables.js';
import { whyRoutes } from './why.js';

export const allRoutes: readonly Routes[] = [
  statusRoutes,
  stateRoutes,
  tableRoutes,
  entryRoutes,
  accountRoutes,
  knockRoutes,
  conditionRoutes,
  quotaRoutes,
  rateRoutes,
  policyRoutes,
  whyRoutes,
  eventRoutes,
  metricsRoutes,
  pageRoutes,
];
