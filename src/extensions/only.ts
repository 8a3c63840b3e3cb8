/** What a word asks of the rule that it stands in. */

import { formatProtocol } from '../net/protocol.js';
import type { Site } from './site.js';

/** Refuses rules that aren't about one protocol alone. */
export function onlyProtocol(word: string, protocol: 6 | 17, site: Site): void {
  const { protocols } = site.rule;
  if (protocols?.length === 1 && protocols[0] === protocol) return;
  const name = formatProtocol(protocol);
  site.refuse(
    `${word} answers ${name.toUpperCase()} only, and this rule is about other packets, too`,
    `add "${name}: any"`,
  );
}
