/** `why ADDRESS` with the host as it is. */

import type { CompiledPolicy } from '../engine/policy-control.js';
import { openLiveSets } from '../kernel/live-sets.js';
import type { Address } from '../net/address.js';
import { type AddressAnswer, type Books, concernsOf } from '../oracle/address.js';
import type { WhyAsk } from './live-why.js';

export interface AddressAsk {
  readonly address: Address;
  readonly compiled: CompiledPolicy;
  readonly loaded?: WhyAsk['loaded'];
  readonly books?: Books;
  readonly netns?: string;
}

/** @throws PosternError when the kernel can't be asked. */
export function askAddress({ address, compiled, loaded, books, netns }: AddressAsk): AddressAnswer {
  const sets = openLiveSets(loaded?.manifest.tables ?? [], netns);
  try {
    return concernsOf({
      address,
      policy: compiled.policy,
      plan: compiled.plan,
      ...(loaded !== undefined && { loaded: { sets, plan: loaded } }),
      ...(books !== undefined && { books }),
      now: Date.now(),
    });
  } finally {
    sets.close();
  }
}
