/** ipv4options against the original's results, by packets through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { matchHost } from '../kernel/match-host.js';
import { udp } from '../kernel/scratch-world.js';
import { turnsOnNop, withNop } from './option-flags.js';
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

testVectors<OptionsVector, keyof typeof differences>('ipv4options', differences, async (vector) => {
  const { flags, any } = vector;
  const options = Buffer.from(vector.options_hex, 'hex');
  const rule = ` -m ipv4options${flags.length > 0 ? ` --flags ${flags.join(',')}` : ''}${any ? ' --any' : ''}`;
  const { match } = readOriginal(rule, 'ipv4options');
  await host.rules('prerouting', [match === undefined ? 'family: ipv6' : yamlKeys(match)]);
  const packet = { ...udp('203.0.113.5', '192.0.2.1', 999), options };
  const [found] = await host.hits(packet);
  const asked = { flags, any, options };
  if (!turnsOnNop(asked)) {
    assert.equal(found, vector.match);
    return [];
  }
  assert.equal(found, Number(withNop(asked)));
  return ['nop is seen'];
});
