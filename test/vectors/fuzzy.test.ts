import assert from 'node:assert/strict';
import { areFuzzyLimits, FuzzyModel } from '../../src/extensions/models/fuzzy.js';
import { testVectors, type Vector } from './vectors.js';

interface FuzzyVector extends Vector {
  readonly lower_limit: number;
  readonly upper_limit: number;
  readonly hz: number;
  readonly jiffies_at_t0: number;
  readonly rule_load: number;
  readonly packets: readonly {
    readonly t_jiffies: number;
    readonly random_byte: number;
    readonly length: number;
    readonly match: number;
    readonly mean_rate: number;
    readonly acceptance_rate: number;
    readonly pass_if_random_le: number | null;
    readonly packets_total_after: number;
    readonly bytes_total_after: number;
  }[];
}

testVectors<FuzzyVector>('fuzzy', {}, (vector) => {
  const limits = { lower: vector.lower_limit, upper: vector.upper_limit };
  assert.equal(areFuzzyLimits(limits), vector.rule_load === 0);
  const model = new FuzzyModel(limits, vector.hz);
  for (const [index, packet] of vector.packets.entries()) {
    const now = vector.jiffies_at_t0 + packet.t_jiffies;
    const seen = {
      match: model.matches(now, packet.length, packet.random_byte) ? 1 : 0,
      rate: model.meanRate,
      acceptance: model.acceptance,
      passesUpTo: model.passesUpTo ?? null,
      packets: model.packets,
      bytes: model.bytes,
    };
    const expected = {
      match: packet.match,
      rate: packet.mean_rate,
      acceptance: packet.acceptance_rate,
      passesUpTo: packet.pass_if_random_le,
      packets: packet.packets_total_after,
      bytes: packet.bytes_total_after,
    };
    assert.deepEqual(seen, expected, `packet ${index}`);
  }
  return [];
});
