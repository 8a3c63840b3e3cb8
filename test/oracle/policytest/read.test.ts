import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../../src/net/address.js';
import { readTests } from '../../../src/oracle/policytest/read.js';

const complaints = (text: string): string[] =>
  readTests(text, 't.test.yaml').diagnostics.map(({ at, message }) => `${at.line}:${at.column}: ${message}`);

const stepWith = (step: string): string => `tests:\n  - name: one\n    steps:\n      - ${step}\n`;

test('a file is read with its host, what is given, packets and expectations', () => {
  const { file, diagnostics } = readTests(
    `
policy: other.yaml
forwarding: off
host:
  wan: { device: eth0, address: [192.0.2.1/24, "2001:db8::1/64"], gateway: 192.0.2.254, routes: [10.0.0.0/8 via 192.0.2.9] }
  ppp: { kind: point-to-point, address: 198.51.100.1/32 }
tests:
  - name: one
    given: { tables: { bad: [203.0.113.6, 198.51.100.0/28] }, connections: ["tcp wan 203.0.113.5:5 > 192.0.2.1:22"], sockets: [tcp 22, "udp [2001:db8::1]:domain"] }
    steps:
      - packet: tcp wan 203.0.113.5 > 192.0.2.1:22 syn
        repeat: 20
        expect: { verdict: drop, by: 12, out: none, mark: 0x10, duties: [spa], verdicts: { accept: 20..40% } }
      - { advance: 61m }
`,
    't.test.yaml',
  );
  assert.deepEqual(diagnostics, []);
  assert.ok(file);
  assert.equal(file.policy, 'other.yaml');
  assert.equal(file.host.forwarding, false);
  assert.deepEqual(
    [...file.devices],
    [
      ['wan', 'eth0'],
      ['ppp', 'ppp'],
    ],
  );
  assert.equal(file.host.interfaces[0]?.routes.length, 1);
  const [one] = file.tests;
  assert.equal(one?.given.tables[0]?.entries.length, 2);
  assert.deepEqual(one?.given.sockets, [
    { protocol: 'tcp', port: 22 },
    { protocol: 'udp', address: parseAddress('2001:db8::1'), port: 53 },
  ]);
  const [packets, jump] = one?.steps ?? [];
  assert.deepEqual(jump?.kind === 'advance' && jump.ms, 61 * 60_000);
  assert.deepEqual(packets?.kind === 'packets' && packets.expect.map(({ what }) => what), [
    'verdict',
    'by',
    'out',
    'mark',
    'duties',
    'verdicts',
  ]);
});

for (const [title, text, expected] of [
  [
    'a socket that is none is told where it stands',
    'tests:\n  - name: one\n    given: { sockets: [sctp 22, tcp 192.0.2.1:99999] }\n    steps: []\n',
    [
      '3:24: "sctp 22" is no socket; write it as tcp 22 or udp 192.0.2.1:53',
      '3:33: "99999" is not a port; ports go from 0 to 65535, without leading zeros',
    ],
  ],
  [
    'a mistake in a packet is told at its column',
    stepWith('packet: tcp wan 203.0.113.300 > 192.0.2.1:22'),
    ['4:25: "203.0.113.300" is not an IP address; write it as 192.0.2.1 or 2001:db8::1'],
  ],
  [
    'a verdict that there is not',
    stepWith('{ packet: icmp wan 192.0.2.9 > 192.0.2.1, expect: { verdict: droop } }'),
    ['4:70: "droop" is no verdict'],
  ],
  [
    'a key that is not known',
    stepWith('{ packet: icmp wan 192.0.2.9 > 192.0.2.1, expects: {} }'),
    ['4:51: "expects" is not known here'],
  ],
  ['a wait that would hold everybody up', stepWith('{ wait: 2h }'), ['4:17: "wait" is at most 60s']],
  [
    'a share that can not be',
    stepWith('{ packet: icmp wan 192.0.2.9 > 192.0.2.1, expect: { verdicts: { drop: 60 } } }'),
    ['4:79: "60" is no share; write it as 20..40%'],
  ],
  [
    'a step without a packet',
    stepWith('{ expect: { verdict: drop } }'),
    ['4:9: a step has either "packet:" or "packets:"'],
  ],
  ['an empty file', '', ['1:1: the file is empty']],
] as const) {
  test(`${title} is refused`, () => assert.deepEqual(complaints(text), expected));
}
