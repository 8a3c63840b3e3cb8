/** Matches that are decided in chains. */

import type { Family } from '../net/address.js';
import type { Statement } from '../nft/model.js';
import type { Line } from './fragment.js';
import type { Site } from './site.js';

/** What packets of a family come to: `matched` runs for those that match, `others` for all others. */
export interface Decision {
  readonly family: Family;
  readonly site: Site;
  readonly matched: readonly Statement[];
  readonly others: readonly Statement[];
}

/** A chain of these lines for the rule; what says or ends otherwise, in another hook or after another match, is another. */
export const endingChain = (purpose: string, site: Site, lines: readonly Line[]): string =>
  site.chain(`${purpose}_${site.numberOf(purpose, JSON.stringify(lines))}`, lines);
