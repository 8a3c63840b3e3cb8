/** The bound of answers that a trap gives: with it, spoofed senders can't turn it against others. */

import type { Rate } from '../net/rate.js';
import { counter, drop, limit } from '../nft/build.js';
import type { TableFamily } from '../nft/model.js';
import { rate } from '../policy/formats/values.js';
import { Type } from '../policy/schema-type.js';
import { Value } from '../policy/types.js';
import type { Line } from './fragment.js';
import { limitOf } from './rate.js';
import type { Site } from './site.js';

export type AnswerLimit = Rate | 'off';

/** The option of every trap. */
export const answerLimit = Type.Optional(
  Type.Union([Type.Literal('off'), Value(rate)], {
    description:
      'No more answers than these in a time, to all sources together; 1000/1s if not given, "off" for no bound.',
  }),
);

export const defaultLimit: AnswerLimit = { count: 1000, unit: 'packets', perMs: 1000 };

/** Drops and counts what is beyond the limit, in front of what answers. */
export function boundLines(trap: string, within: AnswerLimit, site: Site, table = site.family): Line[] {
  if (within === 'off') return [];
  const over = limitOf(within, true);
  if (over === undefined) return site.refuse('this rate is slower than nft can count', 'take at least one a week');
  return [{ statements: [limit(over), counter(trapCounter(trap, 'limited', site, table)), drop] }];
}

/** A counter of packets that a trap has no answer for. */
export const trapCounter = (trap: string, purpose: string, site: Site, table: TableFamily): string =>
  site.object({ kind: 'counter', table, role: { kind: 'extension', extension: 'trap', name: trap, purpose } });
