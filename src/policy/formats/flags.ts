/** TCP flags as pf and ipf write them. */

import type { FlagTest } from '../ast.js';
import { Misread } from '../scope.js';
import type { Format } from '../types.js';

/** In the order of their bits in the header (RFC 9293 section 3.1). */
const letters = 'FSRPAUEC';

/** ECE and CWR stay outside, so that `S` matches a SYN that offers ECN. */
const usualMask = bits('FSRPAU');

/** `S/SA`: of SYN and ACK only SYN is set. Without a slash the mask is FSRPAU. `none` is no flag. */
export const flagTest: Format<FlagTest> = {
  name: 'flags',
  label: 'FLAGS',
  description:
    'TCP flags that are set, and behind a slash those that are looked at: S/SA, A/A, none/FSRPAU. Letters: FSRPAUEC.',
  json: { type: 'string', pattern: `^(none|[${letters}]+)(/[${letters}]+)?$` },
  parse: ({ value: text }) => {
    const [, set, looked] = /^(none|[A-Z]+)(?:\/([A-Z]+))?$/.exec(text) ?? [];
    const unknown = [...`${set === 'none' ? '' : set}${looked ?? ''}`].find((letter) => !letters.includes(letter));
    if (set === undefined || unknown !== undefined) {
      throw new Misread(`"${text}" is no test of TCP flags`, `write it as S/SA, of the letters ${letters}`);
    }
    const value = set === 'none' ? 0 : bits(set);
    const mask = looked === undefined ? usualMask | value : bits(looked);
    if ((value & ~mask) !== 0) {
      throw new Misread(`"${text}" wants flags that it doesn't look at, so that no packet has them`);
    }
    return { mask, value };
  },
};

function bits(flags: string): number {
  return [...flags].reduce((sum, letter) => sum | (1 << letters.indexOf(letter)), 0);
}
