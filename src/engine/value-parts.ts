/** The parts that keep what the policy names besides tables: accounts, knocks, conditions, detectors of scans, quotas. */

import type { Plan } from '../compiler/plan.js';
import type { Draft } from '../store/store.js';
import type { EngineBase } from './base.js';
import type { EngineOptions } from './engine-options.js';
import { LiveAccounts } from './live-accounts.js';
import { LiveConditions } from './live-conditions.js';
import { LiveKnocks } from './live-knocks.js';
import { LiveQuotas } from './live-quotas.js';
import { LiveScans } from './live-scans.js';

export interface ValueParts {
  readonly accounts: LiveAccounts;
  readonly knocks: LiveKnocks;
  readonly conditions: LiveConditions;
  readonly scans: LiveScans;
  readonly quotas: LiveQuotas;
}

/** `reload`: the policy as it is, loaded anew. */
export function valueParts(
  base: EngineBase,
  { seriesPerAccount }: Pick<EngineOptions, 'seriesPerAccount'>,
  reload: () => Promise<void>,
): ValueParts {
  const bound = seriesPerAccount === undefined ? {} : { seriesPerAccount };
  return {
    accounts: new LiveAccounts({ ...base, ...bound }),
    knocks: new LiveKnocks(base),
    conditions: new LiveConditions(base),
    scans: new LiveScans(base),
    quotas: new LiveQuotas({ ...base, reload }),
  };
}

/** From now on this plan is what the kernel runs. */
export function switchValues({ accounts, knocks, conditions, scans, quotas }: ValueParts, plan: Plan): void {
  accounts.switch(plan.accounts, plan.manifest);
  knocks.switch(plan);
  conditions.switch(plan);
  scans.switch(plan);
  quotas.switch(plan.manifest);
}

/** What is to be forgotten on disk, since it left the policy. */
export function forgetValues({ accounts, conditions, quotas }: ValueParts): Draft[] {
  return [...accounts.forget(), ...conditions.forget(), ...quotas.forget()];
}
