/** `[dnat to …, accept]`: a bit of the connection mark lets translated connections pass the filter. */

import type { Line } from '../../extensions/fragment.js';
import { accept, ct, matchBits, setMarkBits } from '../../nft/build.js';
import type { Statement } from '../../nft/model.js';
import type { Draft } from '../draft/draft.js';
import type { RuleSite } from '../site.js';

const owner = 'nat-pass';

export function passFilter(site: RuleSite): Statement {
  const { mask } = site.markBits('connection', owner, 1);
  site.note(`its connections get the mark 0x${mask.toString(16)}, which the filter lets pass behind the known ones`);
  return setMarkBits('ct', mask, mask);
}

/** What a filter chain has for them, when the policy has any. */
export function passLines(draft: Draft): Line[] {
  const field = draft.marks.fields.find((candidate) => candidate.owner === owner);
  return field === undefined ? [] : [{ statements: [matchBits(ct('mark'), field.mask, field.mask), accept] }];
}
