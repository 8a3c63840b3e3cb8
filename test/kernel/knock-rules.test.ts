/** Compiled knocks, with packets through the real kernel: beside the model, and what copies the daemon is handed. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { KnockModel, type KnockRule } from '../../src/extensions/models/pknock.js';
import { macBytes, parseMac } from '../../src/net/mac.js';
import { encodePacket, type Packet, PROTOCOL } from '../../src/wire/packet.js';
import { has, type KnockVector, ruleOf } from '../vectors/pknock-vectors.js';
import { loadVectors } from '../vectors/vectors.js';
import { ping, scratchWorld, tcp, udp } from './scratch-world.js';

const world = await scratchWorld({ after });

const gates = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
const families = [4, 6] as const;
/** A source of documentation for each number. */
const sourceOf = (family: 4 | 6, number: number): string =>
  family === 4 ? `203.0.113.${number}` : `2001:db8:9::${number.toString(16)}`;

const knockText = (
  name: string,
  { ports, strict, timeMs, autocloseMs }: KnockRule,
  protocol: 'tcp' | 'udp',
): string => {
  const words = [
    `ports: [${ports.join(', ')}]`,
    `time: ${timeMs}ms`,
    `protocol: ${protocol}`,
    `strict: ${strict}`,
    ...(autocloseMs === undefined ? [] : [`autoclose: ${autocloseMs}ms`]),
  ];
  return `${name}: { ${words.join(', ')} }`;
};

const packetOf = (protocol: number, source: string, target: string, port: number): Packet =>
  protocol === PROTOCOL.TCP
    ? tcp(source, target, port)
    : protocol === PROTOCOL.UDP
      ? udp(source, target, port)
      : ping(source, target);

/** Answers how many packets were compared. @throws AssertionError where kernel and model differ */
async function playVector(vector: KnockVector, rule: KnockRule, faster: number): Promise<number> {
  const fast: KnockRule = {
    ...rule,
    timeMs: rule.timeMs! / faster,
    ...(rule.autocloseMs !== undefined && { autocloseMs: rule.autocloseMs / faster }),
  };
  const protocol = vector.steps.some(({ proto }) => proto === PROTOCOL.UDP) ? 'udp' : 'tcp';
  await world.policy(`
version: 1
hygiene: off
knocks: { ${knockText('K', fast, protocol)} }
chains: { input: { policy: drop, rules: [ { knock: K, do: accept } ] } }
`);
  const models = { 4: new KnockModel(rule), 6: new KnockModel(rule) };
  const numbers = new Map<string, number>();
  // What is longer than any time of the rule makes no difference.
  const longestMs = Math.max(rule.timeMs!, rule.autocloseMs ?? 0) + 1_000;
  let [nowMs, before, compared] = [0, vector.steps[0]!.wall, 0];
  for (const step of vector.steps) {
    const pauseMs = Math.min((step.wall - before) * 1000, longestMs);
    before = step.wall;
    nowMs += pauseMs;
    if (pauseMs > 0) await sleep(pauseMs / faster);
    if (step.proc_read !== undefined) continue;
    if (!numbers.has(step.src)) numbers.set(step.src, numbers.size + 1);
    for (const family of families) {
      const packet = packetOf(step.proto, sourceOf(family, numbers.get(step.src)!), gates[family], step.dport);
      const seen = { source: packet.source, protocol: step.proto, port: step.dport };
      const expected = models[family].holds(seen, nowMs) ? 'accept' : 'drop';
      if (step.rule === undefined || !has(vector.rules[step.rule]!, 'c')) models[family].packet(seen, nowMs);
      const { verdict, out } = await world.send('wan', packet);
      assert.equal(verdict, expected, `${vector.id}, IPv${family}, ${step.src} port ${step.dport} at ${step.t}`);
      if (verdict === 'drop') assert.deepEqual(out, []);
      compared++;
    }
  }
  return compared;
}

test('the sequences of the vectors, as real packets in both families, do what the model does', async (t) => {
  const sequences = loadVectors<KnockVector>('pknock').filter(
    ({ rules, rule_load: loaded, steps }) =>
      steps.length > 0 &&
      loaded.every((load) => load.return === 0) &&
      rules.every((rule) => !has(rule, 'o')) &&
      rules.filter((rule) => has(rule, 'k')).length === 1,
  );
  const onTheDot = sequences.filter(({ rules, steps }) => {
    const { timeMs, autocloseMs } = ruleOf(rules.find((rule) => has(rule, 'k'))!);
    const isBetween = (ms: number | undefined) =>
      steps.some((step, index) => steps.slice(index).some(({ wall }) => (wall - step.wall) * 1000 === ms));
    return isBetween(timeMs) || isBetween(autocloseMs);
  });
  let compared = 0;
  for (const vector of sequences) {
    if (onTheDot.includes(vector)) continue;
    const rule = ruleOf(vector.rules.find((one) => has(one, 'k'))!);
    // On a machine that stops and goes a pause may come out longer than the time.
    const speeds = [20, 10, 4];
    for (const faster of speeds) {
      try {
        compared += await playVector(vector, rule, faster);
        break;
      } catch (error) {
        if (faster === speeds.at(-1)) throw error;
        t.diagnostic(`${vector.id}: once more, slower`);
      }
    }
  }
  t.diagnostic(`${sequences.length} vectors, ${compared} packets compared`);
  t.diagnostic(`left out ${onTheDot.length}: packets come exactly when a time is over, which no real one does`);
  assert.ok(compared > 0);
});

test('whatever is knocked, kernel and model let in the same: up to 15 ports, strict or not, names that share ports', async (t) => {
  const port = fc.integer({ min: 4000, max: 4005 });
  const rule = fc.record({
    ports: fc.oneof(
      fc.array(port, { minLength: 1, maxLength: 4 }),
      fc.constant(Array.from({ length: 15 }, (_, index) => 4000 + (index % 6))),
    ),
    strict: fc.boolean(),
    timeMs: fc.constant(60_000),
  });
  let compared = 0;
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(rule, rule, fc.array(port, { maxLength: 12 }), fc.boolean(), async (a, b, ports, helped) => {
      await world.policy(`
version: 1
hygiene: off
knocks: { ${knockText('a', a, 'tcp')}, ${knockText('b', b, 'tcp')} }
chains: { input: { policy: drop, rules: [ { tcp: 22, knock: a, do: accept }, { tcp: 23, knock: b, do: accept } ] } }
`);
      for (const family of families) {
        const models = [new KnockModel(a), new KnockModel(b)];
        for (const knocked of helped ? [...ports, ...a.ports] : ports) {
          const packet = tcp(sourceOf(family, 7), gates[family], knocked);
          for (const model of models) model.packet({ source: packet.source, protocol: PROTOCOL.TCP, port: knocked }, 0);
          assert.equal((await world.send('wan', packet)).verdict, 'drop');
        }
        for (const [index, model] of models.entries()) {
          const packet = tcp(sourceOf(family, 7), gates[family], 22 + index);
          const expected = model.holds({ source: packet.source, protocol: PROTOCOL.TCP, port: 22 }, 0);
          assert.equal((await world.send('wan', packet)).verdict, expected ? 'accept' : 'drop', 'ab'[index]);
          if (expected) opened++;
          compared++;
          // In strict mode the probe itself spoils what had begun.
          for (const one of models) one.packet({ source: packet.source, protocol: PROTOCOL.TCP, port: 22 + index }, 0);
        }
      }
    }),
    { numRuns: 30 },
  );
  t.diagnostic(`${compared} doors compared, ${opened} of them open`);
  assert.ok(opened > 0);
});

const datagrams = `
version: 1
hygiene: off
knocks:
  ftp: { spa: 4000, open_secret: { file: open }, close_secret: { file: close } }
  vpn: { spa2: 4003, clients: { file: clients } }
  lite: { ports: [7000, 7001], protocol: udplite, time: 10s }
sysrq: { port: 9, from: [203.0.113.25, 2001:db8:9::19], mac: 00:00:5e:00:53:01, password: { file: password }, keys: h }
chains: { input: { rules: [ { knock: lite, do: accept }, { proto: udplite, do: reject } ] } }
`;

const lite = (packet: Packet): Packet => ({ ...packet, protocol: PROTOCOL.UDPLITE });

test('of signed datagrams the daemon gets copies of the right length, by UDP and UDP-Lite, and nothing is answered', async () => {
  await world.policy(datagrams);
  for (const family of families) {
    const [source, gate] = [sourceOf(family, 1), gates[family]];
    for (const [port, bytes, prefix] of [
      [4000, 65, 'spa:ftp'],
      [4003, 88, 'spa2:vpn'],
    ] as const) {
      for (const length of [0, bytes - 1, bytes, bytes + 1, 1400]) {
        const { copies, verdict, out } = await world.send('wan', udp(source, gate, port, Buffer.alloc(length, 'x')));
        assert.equal(verdict, 'drop');
        assert.deepEqual(out, []);
        assert.deepEqual(
          copies.map((copy) => copy.prefix),
          length === bytes ? [prefix] : [],
        );
      }
      const { copies, verdict, out } = await world.send('wan', lite(udp(source, gate, port, Buffer.alloc(bytes))));
      assert.deepEqual([copies.map((copy) => copy.prefix), verdict, out], [[prefix], 'drop', []]);
    }
    for (const port of [7000, 7001]) {
      assert.equal((await world.send('wan', lite(udp(source, gate, port)))).verdict, 'drop');
    }
    assert.equal((await world.send('wan', lite(udp(source, gate, 7777)))).verdict, 'accept', 'knocked by UDP-Lite');
  }
});

test('a source gets twenty datagrams through at once and one a second from then on, whatever the others do', async (t) => {
  await world.policy(datagrams);
  const startedAt = performance.now();
  let copied = 0;
  for (let sent = 0; sent < 200; sent++) {
    copied += (await world.send('wan', udp('203.0.113.1', gates[4], 4000, Buffer.alloc(65)))).copies.length;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { copies } = await world.send('wan', udp('203.0.113.2', gates[4], 4000, Buffer.alloc(65)));
  assert.equal(copies.length, 1, 'another source');
  t.diagnostic(`${copied} of 200 datagrams of one source in ${seconds.toFixed(1)} s were copied`);
  assert.ok(copied >= 20 && copied <= 21 + seconds, `${copied} copies in ${seconds} s`);
});

test('SYSRQ requests are copied from allowed sources and the right device, within the limit, and from nobody else', async (t) => {
  await world.policy(datagrams);
  const startedAt = performance.now();
  const right = macBytes(parseMac('00:00:5e:00:53:01'));
  const ask = async (packet: Packet, sourceMac = right) => {
    const entry = { packet: encodePacket(packet), at: { device: 'wan' }, sourceMac };
    const [{ copies, verdict, out } = assert.fail()] = await world.trial.send([entry]);
    assert.deepEqual([verdict, out], ['drop', []]);
    return copies.length;
  };
  const from = (family: 4 | 6, number: number) => udp(sourceOf(family, number), gates[family], 9);
  for (const family of families) {
    assert.equal(await ask(from(family, 24)), 0, 'another source');
    assert.equal(await ask(from(family, 25), macBytes(parseMac('00:00:5e:00:53:02'))), 0, 'another device');
    assert.equal(await ask(from(family, 25)), 1);
    assert.equal(await ask(lite(from(family, 25))), 1, 'UDP-Lite');
  }
  let copied = 0;
  for (let sent = 0; sent < 50; sent++) copied += await ask(from(4, 25));
  t.diagnostic(`${copied} of 50 further requests at a limit of 5 a minute`);
  // Four were spent above, and one comes back every twelve seconds.
  const seconds = (performance.now() - startedAt) / 1000;
  assert.ok(copied >= 1 && copied <= 2 + seconds / 12, `${copied} copies in ${seconds} s`);
});
