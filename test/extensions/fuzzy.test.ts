/** Eight steady rates at once through the kernel, against the original's controller fed with the same times. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { compileText } from '../../src/cli/policy-file.js';
import { fuzzySteps } from '../../src/extensions/fuzzy.js';
import { acceptance, FuzzyModel } from '../../src/extensions/models/fuzzy.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { encodePacket } from '../../src/wire/packet.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { namespace } from '../kernel/namespace.js';
import { compiled, udp } from '../kernel/scratch-world.js';

const limits = { lower: 40, upper: 400 };
const rates = Array.from({ length: 8 }, (_, index) => limits.lower + ((limits.upper - limits.lower) * (index + 1)) / 9);
const firstPort = 4000;

const matchedShare = (passes: number): number => 1 - (passes + 1) / 256;

test('the steps follow the slope of the original within 5 points, for any limits', () => {
  const lower = fc.integer({ min: 3, max: 1_000_000 });
  fc.assert(
    fc.property(
      lower,
      fc.integer({ min: 100, max: 9_000_000 }),
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      (low, span, share) => {
        const own = { lower: low, upper: low + span };
        const rate = Math.round(low + span * share);
        const steps = fuzzySteps(own);
        const step = steps.findLast((one) => rate > one.rate);
        const ours = step === undefined ? 0 : matchedShare(step.passes);
        const accepted = acceptance(own, rate);
        const theirs = accepted >= 100 ? 0 : matchedShare(Math.floor((255 * accepted) / 100));
        assert.ok(Math.abs(ours - theirs) <= 0.05, `${JSON.stringify(own)} at ${rate}: ${ours} for ${theirs}`);
      },
    ),
  );
});

const warmUpMs = 3_000;
const measuredMs = 4_000;

test('at eight rates between the limits the kernel matches what the original would, within 5 points', async (t) => {
  const space = await namespace({ after });
  await space.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.lo.rp_filter=0');
  const words = `lower_limit: ${limits.lower}, upper_limit: ${limits.upper}`;
  const rules = rates.map((_, index) => `      - { udp: ${firstPort + index}, fuzzy: { ${words} }, do: count }`);
  const policy = `version: 1\nhygiene: off\nchains:\n  input:\n    policy: drop\n    rules:\n${rules.join('\n')}\n`;
  const bench = await liveBench({ after }, space, policy, {
    compile: async (source, previous) => compileText(source, previous),
  });
  const objects = bench.engine.policy.current!.plan.manifest.objects.flatMap(({ role }, index) =>
    role.kind === 'rule' ? [index] : [],
  );
  const counts = () => Promise.all(objects.map(async (index) => Number((await bench.kernel.object(index)).packets)));
  const sender = new RawSender(space.name);
  after(() => sender.close());
  const packets = rates.map((_, index) => encodePacket(udp('127.0.0.2', '127.0.0.1', firstPort + index)));

  const worst = async (): Promise<{ readonly worst: number; readonly rows: readonly string[] }> => {
    const flows = rates.map((rate) => ({
      gapMs: 1000 / rate,
      nextMs: 0,
      sent: 0,
      wanted: 0,
      model: new FuzzyModel(limits, 1000),
    }));
    const run = (untilMs: number, measured: boolean, startMs: number) => {
      for (let now = performance.now(); now - startMs < untilMs; now = performance.now()) {
        for (const [index, flow] of flows.entries()) {
          if (now - startMs < flow.nextMs) continue;
          // What a busy machine has missed isn't sent later: the model sees the same.
          flow.nextMs = Math.max(flow.nextMs + flow.gapMs, now - startMs - flow.gapMs);
          const packet = packets[index]!;
          sender.queue(packet);
          sender.flush();
          flow.model.matches(Math.floor(now), 100, 0);
          if (!measured) continue;
          flow.sent++;
          const passes = flow.model.passesUpTo;
          flow.wanted += passes === undefined ? 0 : matchedShare(passes);
        }
      }
    };
    const startMs = performance.now();
    run(warmUpMs, false, startMs);
    const before = await counts();
    run(performance.now() - startMs + measuredMs, true, startMs);
    const after = await counts();
    const points = flows.map(({ sent, wanted }, index) => ({
      ours: (100 * (after[index]! - before[index]!)) / sent,
      theirs: (100 * wanted) / sent,
      sent,
    }));
    return {
      worst: Math.max(...points.map(({ ours, theirs }) => Math.abs(ours - theirs))),
      rows: points.map(
        ({ ours, theirs, sent }) =>
          `${Math.round((sent * 1000) / measuredMs)}/s: ${ours.toFixed(1)} % of ${sent}, original ${theirs.toFixed(1)} %`,
      ),
    };
  };

  // A machine that is busy sends unevenly; then neither the stair nor the original's means are at rest.
  let result = await worst();
  for (let attempt = 1; attempt < 4 && result.worst > 5; attempt++) result = await worst();
  for (const row of result.rows) t.diagnostic(row);
  assert.ok(result.worst <= 5, `${result.worst.toFixed(1)} points apart\n${result.rows.join('\n')}`);
});

test('negated it matches what the plain one leaves: all below the lower limit, next to nothing far above the upper one', async (t) => {
  const space = await namespace(t);
  const [calm, flooded] = ['lower_limit: 100000, upper_limit: 200000', 'lower_limit: 3, upper_limit: 4'];
  const rules = [calm, flooded].flatMap((words, index) => [
    `      - { udp: ${firstPort + index}, fuzzy: { ${words} }, do: count }`,
    `      - { udp: ${firstPort + index}, fuzzy: { not: { ${words} } }, do: count }`,
  ]);
  const policy = `version: 1\nhygiene: off\nchains:\n  input:\n    policy: drop\n    rules:\n${rules.join('\n')}\n`;
  const bench = await liveBench(t, space, policy, {
    compile: async (source, previous) => compileText(source, previous),
  });
  const counts = () =>
    Promise.all(
      bench.engine.policy
        .current!.plan.manifest.objects.flatMap(({ role }, index) => (role.kind === 'rule' ? [index] : []))
        .map(async (index) => Number((await bench.kernel.object(index)).packets)),
    );
  const sender = new RawSender(space.name);
  t.after(() => sender.close());
  const send = (port: number, packets: number) => {
    const packet = encodePacket(udp('127.0.0.1', '127.0.0.1', port));
    for (let sent = 0; sent < packets; sent++) {
      sender.queue(packet);
      sender.flush();
    }
  };
  send(firstPort, 50);
  for (let burst = 0; burst < 100; burst++) {
    send(firstPort + 1, 10);
    await setTimeout(20);
  }
  const before = await counts();
  assert.deepEqual(before.slice(0, 2), [0, 50]);
  send(firstPort + 1, 1_000);
  const [plain, negated] = (await counts()).slice(2).map((now, index) => now - before[index + 2]!);
  t.diagnostic(`far above the limits: ${plain} of 1000 plainly, ${negated} negated`);
  assert.ok(plain! >= 900 && negated! <= 100);
});

test('limits that the original refuses are refused', () => {
  for (const words of ['lower_limit: 5, upper_limit: 5', 'lower_limit: 2', 'upper_limit: 10000001']) {
    const policy = `version: 1\nchains:\n  input:\n    rules:\n      - { fuzzy: { ${words} }, do: drop }\n`;
    assert.throws(() => compiled(policy));
  }
});
