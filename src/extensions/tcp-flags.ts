/** Tests of TCP flags that the traps share. */

import { and, match, or, tcp } from '../nft/build.js';
import type { Expression, Statement } from '../nft/model.js';

type Flag = 'fin' | 'syn' | 'rst' | 'ack';
const decisive = ['fin', 'syn', 'rst', 'ack'] as const;

/** The flags that say what a segment is for. */
export const decisiveFlags: Expression = and(tcp('flags'), or(...decisive));

export const flagBits = (...flags: readonly [Flag, ...Flag[]]): Expression => {
  const [first, second, ...more] = flags;
  return second === undefined ? first : or(first, second, ...more);
};

/** Of FIN, SYN, RST and ACK these are set, and no others. */
export const areFlags = (...flags: readonly [Flag, ...Flag[]]): Statement => match(decisiveFlags, flagBits(...flags));

/** A reset, whatever else it is. */
export const hasReset: Statement = match(and(tcp('flags'), 'rst'), 0, '!=');
