/** Chains in which a match is decided. */

import type { Line } from './fragment.js';
import type { Site } from './site.js';

/** A chain of these lines for the rule; what says or ends otherwise, in another hook or after another match, is another. */
export const endingChain = (purpose: string, site: Site, lines: readonly Line[]): string =>
  site.chain(`${purpose}_${site.numberOf(purpose, JSON.stringify(lines))}`, lines);
