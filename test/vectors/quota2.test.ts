import assert from 'node:assert/strict';
import { type Quota2Rule, quota2Name, quota2Packet, quota2Write } from '../../src/extensions/models/quota2.js';
import { testVectors, type Vector } from './vectors.js';

interface Quota2Step {
  readonly op: string;
  readonly name?: string;
  readonly invert?: boolean;
  readonly grow?: boolean;
  readonly packets?: boolean;
  readonly no_change?: boolean;
  readonly quota?: number;
  readonly rule?: number;
  readonly length?: number;
  readonly data?: string;
  readonly result_rc?: number;
  readonly result_counter?: number;
  readonly result_match?: number;
}

interface Quota2Vector extends Vector {
  readonly steps: readonly Quota2Step[];
}

const einval = -22;

testVectors<Quota2Vector>('quota2', {}, (vector) => {
  const counters = new Map<string, { value: bigint; rules: number }>();
  const rules: { rule: Quota2Rule; name: string }[] = [];
  let anonymous = 0;

  function load(step: Quota2Step): number {
    const given = quota2Name(step.name ?? '');
    if (given === undefined) return einval;
    anonymous += 1;
    const name = given === '' ? `/${anonymous}` : given;
    const rule = {
      quota: BigInt(step.quota ?? 0),
      invert: step.invert === true,
      grow: step.grow === true,
      packets: step.packets === true,
      noChange: step.no_change === true,
    };
    const counter = counters.get(name) ?? { value: rule.quota, rules: 0 };
    counter.rules += 1;
    counters.set(name, counter);
    rules.push({ rule, name });
    return 0;
  }

  function remove(index: number): void {
    const { name } = rules[index]!;
    const counter = counters.get(name)!;
    counter.rules -= 1;
    if (counter.rules === 0) counters.delete(name);
  }

  for (const [index, step] of vector.steps.entries()) {
    const where = `step ${index} (${step.op})`;
    if (step.op === 'load_rule') {
      assert.equal(load(step), step.result_rc, where);
      if (step.result_rc === 0)
        assert.equal(counters.get(rules.at(-1)!.name)?.value, BigInt(step.result_counter!), where);
      continue;
    }
    // A rule that removal has made the last one is taken away before it is looked at.
    const { rule, name } = rules[step.rule ?? 0]!;
    if (step.op === 'remove_rule') {
      remove(step.rule ?? 0);
      continue;
    }
    const counter = counters.get(name)!;
    if (step.op === 'packet') {
      const result = quota2Packet(rule, counter.value, step.length!);
      counter.value = result.counter;
      assert.equal(result.matches ? 1 : 0, step.result_match, where);
    } else if (step.op === 'proc_write') {
      counter.value = quota2Write(counter.value, step.data!);
    } else {
      assert.fail(`${where}: an operation that this test knows nothing of`);
    }
    // JSON numbers lose digits beyond 2^53, in the file already.
    assert.equal(Number(counter.value), step.result_counter, where);
  }
  return [];
});
