/** The scratch host: the real kernel, in less than a millisecond a packet. Needs root. */

import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { FLAG_BIT } from '../../src/wire/packet.js';
import { ping, scratchWorld, tcp, udp } from './scratch-world.js';

const own = readlinkSync('/proc/self/ns/net');
const world = await scratchWorld({ after });

const policy = `
version: 1
interfaces: { outside: wan, inside: lan }
tables:
  bad: { entries: [203.0.113.64/26, 203.0.113.5, 2001:db8:bad::/48] }
  seen: { timeout: 1h }
chains:
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { in: outside, tcp: 22, do: accept }
      - { tcp: 25, do: reject }
      - { icmp: echo-request, do: [ add source to <seen>, accept ] }
  forward:
    policy: drop
    rules:
      - { in: inside, out: outside, do: accept }
      - { state: [established, related], do: accept }
`;
await world.policy(policy);

test('the process itself stays in its own network namespace', () => {
  assert.equal(readlinkSync('/proc/self/ns/net'), own);
});

test('the rule that decides is known by its line', async () => {
  const { verdict, stop, state } = await world.send('wan', tcp('203.0.113.7', '192.0.2.1', 22));
  assert.equal(verdict, 'accept');
  assert.equal(state, 'new');
  assert.equal(stop.by === 'rule' && stop.rule.rule.origin?.line, 13);
});

test('entries of the policy, addresses and prefixes, are in the sets', async () => {
  for (const source of ['203.0.113.5', '203.0.113.70', '2001:db8:bad::7']) {
    const to = source.includes(':') ? '2001:db8::1' : '192.0.2.1';
    const { verdict, stop } = await world.send('wan', tcp(source, to, 22));
    assert.equal(verdict, 'drop', source);
    assert.equal(stop.by === 'rule' && stop.rule.rule.origin?.line, 11);
  }
});

test('a refused packet is answered, and the answer is seen', async () => {
  const { verdict, out } = await world.send('wan', tcp('203.0.113.7', '192.0.2.1', 25));
  assert.equal(verdict, 'reject');
  assert.deepEqual(
    out.map(({ device, kind, packet }) => [device, kind, packet.icmp?.type]),
    [['wan', 'answer', 3]],
  );
});

test("what no rule takes ends at the chain's policy", async () => {
  const { verdict, stop } = await world.send('wan', udp('203.0.113.7', '192.0.2.1', 99));
  assert.equal(verdict, 'drop');
  assert.deepEqual({ by: stop.by, hook: 'hook' in stop && stop.hook }, { by: 'policy', hook: 'input' });
});

test('a forwarded packet leaves by the other device, and its answer is known as one', async () => {
  const there = tcp('198.51.100.7', '203.0.113.9', 443);
  const { verdict, out } = await world.send('lan', there);
  assert.equal(verdict, 'accept');
  assert.deepEqual(
    out.map(({ device, kind }) => [device, kind]),
    [['wan', 'onward']],
  );
  const answer = tcp('203.0.113.9', '198.51.100.7', there.tcp!.sourcePort, FLAG_BIT.SYN | FLAG_BIT.ACK, 443);
  const back = await world.send('wan', answer);
  assert.equal(back.verdict, 'accept');
  assert.equal(back.state, 'established');
});

test("what the host's own routing discards is lost, not dropped, with the reason", async () => {
  const filtered = await world.send('wan', tcp('127.0.0.1', '192.0.2.1', 22));
  assert.equal(filtered.verdict, 'lost');
  assert.deepEqual(filtered.stop, { by: 'host', reason: 'martian' });
  const late = await world.send('lan', { ...tcp('198.51.100.7', '203.0.113.9', 443), ttl: 1 });
  assert.deepEqual([late.verdict, late.stop], ['lost', { by: 'host', reason: 'ttl' }]);
});

test('a packet of the host itself goes out, and to the host itself comes in again', async () => {
  const out = await world.send('local', tcp('192.0.2.1', '203.0.113.7', 22));
  assert.equal(out.verdict, 'accept');
  assert.deepEqual(
    out.out.map(({ device }) => device),
    ['wan'],
  );
  const inside = await world.send('local', tcp('127.0.0.1', '127.0.0.1', 9));
  assert.equal(inside.verdict, 'accept');
  assert.equal(inside.hook, 'input');
});

test('how far the matches of a rule held is told by its twin', async () => {
  const { steps } = await world.send('lan', tcp('198.51.100.7', '192.0.2.1', 22));
  const { rules } = world.trial;
  const ssh = steps.flatMap(({ mark }) =>
    mark?.part === 'prefix' && rules[mark.number]?.rule.origin?.line === 13 ? [mark.held] : [],
  );
  assert.deepEqual(ssh, [], 'in: outside is its first match, and does not hold');
  const https = (await world.send('wan', tcp('203.0.113.7', '192.0.2.1', 443))).steps.flatMap(({ mark }) =>
    mark?.part === 'prefix' && rules[mark.number]?.rule.origin?.line === 13 ? [mark.held] : [],
  );
  assert.deepEqual(https, [1], 'the device is right, the port is not');
});

test('both families answer a ping', async () => {
  for (const [from, to] of [
    ['203.0.113.7', '192.0.2.1'],
    ['2001:db8:7::7', '2001:db8::1'],
  ] as const) {
    const { verdict, out } = await world.send('wan', ping(from, to));
    assert.equal(verdict, 'accept');
    assert.equal(out.filter(({ kind }) => kind === 'answer').length, 1, from);
  }
});

test('copies for the daemon are seen with their group, prefix and packet; foreign rules are known by their comment', async () => {
  const knock = 'udp dport 4000 log prefix "spa" group 5 drop comment "knock"';
  const chain = `type filter hook input priority 0;\n${knock}\n`;
  await world.nft(`table inet other {\nchain c_in {\n${chain}}\n}\n`, [5]);
  const { verdict, stop, copies } = await world.send(
    'wan',
    udp('203.0.113.7', '192.0.2.1', 4000, Buffer.from('sesame')),
  );
  assert.equal(verdict, 'drop');
  assert.deepEqual(stop, { by: 'foreign', table: 'other', chain: 'c_in', rule: 'knock' });
  assert.deepEqual(
    copies.map(({ group, prefix, packet }) => [group, prefix, Buffer.from(packet).subarray(28).toString()]),
    [[5, 'spa', 'sesame']],
  );
});
