/** ipv4options against the original's results, by packets through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { matchHost } from '../kernel/match-host.js';
import { udp } from '../kernel/scratch-world.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { testVectors, type Vector } from './vectors.js';

interface OptionsVector extends Vector {
  readonly options_hex: string;
  readonly flags: readonly string[];
  readonly any: boolean;
  readonly match: number;
}

const differences = { 'nop is seen': 'the original passes over nop, so that a flag of it says nothing' };

const host = await matchHost({ after });

/** Is there a nop before the end of the list, which decides on a flag? */
function turnsOnNop({ options_hex, flags }: OptionsVector): boolean {
  const area = Buffer.from(options_hex, 'hex');
  let at = 0;
  while (at < area.length && area[at] !== 0 && area[at] !== 1) at += Math.max(2, area[at + 1] ?? 2);
  return area[at] === 1 && flags.some((flag) => (Number(flag.replace('!', '')) & 31) === 1);
}

testVectors<OptionsVector, keyof typeof differences>('ipv4options', differences, async (vector) => {
  const { flags, any } = vector;
  const rule = ` -m ipv4options${flags.length > 0 ? ` --flags ${flags.join(',')}` : ''}${any ? ' --any' : ''}`;
  const { match } = readOriginal(rule, 'ipv4options');
  await host.rules('prerouting', [match === undefined ? 'family: ipv6' : yamlKeys(match)]);
  const packet = { ...udp('203.0.113.5', '192.0.2.1', 999), options: Buffer.from(vector.options_hex, 'hex') };
  const [found] = await host.hits(packet);
  if (turnsOnNop(vector)) return ['nop is seen'];
  assert.equal(found, vector.match);
  return [];
});
