/** TARPIT against real clients and nmap, the responder beside it. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { encodeGolden } from '../../vectors/golden.js';
import { until } from '../namespace.js';
import { targetBed } from './bed.js';
import { dark, families, host, network, opens, remembered, scanned, silent, standing, talk } from './trap-bed.js';

const policy = `version: 1
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 1023, do: tarpit }
      - { tcp: 1022, do: { tarpit: { mode: reset } } }
  input:
    rules:
      - { state: [established, related], do: accept }
      - { tcp: 2023, do: tarpit }
      - { tcp: 2024, do: { tarpit: { mode: honeypot } } }
  forward:
    rules:
      - { tcp: 2023, do: tarpit }
  output:
    policy: drop
    rules:
      - { proto: icmp, do: accept }
`;

test('TARPIT holds clients at ingress and behind, of both families, local and routed, and leaves nothing in conntrack', async (t) => {
  const made = await network(t, policy);
  for (const [port, form] of [
    [1023, 'ingress'],
    [2023, 'input and forward'],
  ] as const) {
    for (const address of families.flatMap((family) => [host[family], dark[family]])) talk(made, address, port);
    await until(`four clients are held (${form})`, async () => (await standing(made, port)).length === 4, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const waiting = await standing(made, port);
    assert.deepEqual(waiting, [6, 6, 6, 6], `${form}: what they sent waits, and is never taken`);
    assert.equal(await remembered(made, port), '', form);
  }
});

test('the honeypot takes what is sent', async (t) => {
  const made = await network(t, policy);
  for (const family of families) {
    const script = `exec 3<>/dev/tcp/${host[family]}/2024 && head -c 400 /dev/zero >&3 && sleep 20`;
    made.client.start('bash', ['-c', script]);
  }
  await until('both clients are taken', async () => (await standing(made, 2024)).length === 2, 10_000);
  await until('and what they sent', async () => (await standing(made, 2024)).some((bytes) => bytes === 0), 15_000);
});

test('without the daemon a trap drops what only it could answer', async (t) => {
  const made = await network(t, policy, false);
  const { exitCode } = await made.client.start('timeout', ['2', 'bash', '-c', `exec 3<>/dev/tcp/${host[6]}/2023`]);
  assert.equal(exitCode, 124, 'nothing came back');
});

test('nmap sees ports of TARPIT as open, and gets no answer to what opens nothing', async (t) => {
  const made = await network(t, policy);
  // Without a connection the original doesn't answer either.
  await scanned(t, made, [1023, 2023], (_, scan) => (opens(scan) ? 'open' : silent));
});

test('nmap sees ports of the mode reset as closed, but for connect(), which takes such resets for noise', async (t) => {
  const made = await network(t, policy);
  await scanned(t, made, [1022], (_, scan) => (scan === '-sT' ? 'filtered' : 'closed'));
});

const numbers = [0, 1, 0xff, 0xffff, 0x1ffff, 0x7fffffff, 0x80000000, 0xfffeffff, 0xfffffffe, 0xffffffff];
const number = fc.oneof(fc.constantFrom(...numbers), fc.nat(0xffffffff));
const syn = fc.record({
  seq: number,
  ack: fc.oneof(fc.constant(0), number),
  win: fc.constantFrom(0, 1, 0x11, 29_200, 0xffff),
  urg: fc.constantFrom(0, 0, 1, 0xfffe, 0xffff),
  flags: fc.constantFrom('S', 'S', 'CES', 'PS', 'US'),
  /** None, a segment size, and what Linux sends. */
  opts: fc.constantFrom('', '020405b4', '020405b40402080a000000010000000001030307'),
  ttl: fc.constantFrom(1, 63, 64, 65, 255),
});

test('a SYN+ACK at ingress acknowledges the number after the SYN, and has right checksums whatever came', async () => {
  const { leaving, policy: load } = await targetBed({ after });
  await load('ingress', '{ tcp: 23, do: { tarpit: { limit: off } } }');
  const seed = Math.floor(Math.random() * 2 ** 31);
  for (const [index, { ttl, ...fields }] of fc.sample(syn, { seed, numRuns: 400 }).entries()) {
    const [source, destination] = index % 2 === 0 ? ['203.0.113.5', '192.0.2.1'] : ['2001:db8:7::5', '2001:db8::1'];
    const ends = { source: source!, destination: destination!, sport: 40_000, dport: 23 };
    const hops = index % 2 === 0 ? { ttl, df: true, l4: 'tcp' as const } : { hlim: ttl, l4: 'tcp' as const };
    const packet = encodeGolden({ ...fields, ...hops, doff: 20 + fields.opts.length / 2, data_len: 0 }, ends);
    const seen = await leaving(packet);
    const answers = seen.map(({ device, from, to, packet: { tcp, ttl: left }, bytes }) => {
      const urgent = bytes.readUInt16BE((index % 2 === 0 ? 20 : 40) + 18);
      return [
        device,
        from,
        to,
        tcp?.sourcePort,
        tcp?.destinationPort,
        tcp?.flags,
        tcp?.sequence,
        tcp?.acknowledgement,
        tcp?.window,
        urgent,
        left,
      ];
    });
    const next = (fields.seq + 1) >>> 0;
    assert.deepEqual(
      answers,
      [['wan', destination, source, 23, 40_000, 0x12, 0, next, 0, 0, 64]],
      `seed ${seed}, packet ${packet.toString('hex')}`,
    );
  }
});
