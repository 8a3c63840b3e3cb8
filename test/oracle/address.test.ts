/** What concerns an address, out of sets whose keys have more parts than the address. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestSet } from '../../src/compiler/plan.js';
import type { ElementState } from '../../src/kernel/kernel.js';
import type { LiveSets } from '../../src/kernel/live-sets.js';
import { parseAddress } from '../../src/net/address.js';
import { encodeKey } from '../../src/nft/key.js';
import type { Expression } from '../../src/nft/model.js';
import { type AddressAnswer, addressText, concernsOf } from '../../src/oracle/address.js';
import { parsePolicy } from '../../src/policy/parse.js';

type Counts = Omit<ElementState, 'key' | 'keyEnd'>;
type Row = readonly [readonly Expression[], Counts?];

/** What is told of an address with one set of these elements in the kernel. */
function concerns(address: string, key: readonly string[], rows: readonly Row[]): AddressAnswer {
  const states = rows.map(
    ([parts, counts]): ElementState => ({
      ...encodeKey(key, key.length === 1 ? parts[0]! : { concat: parts })!,
      ...counts,
    }),
  );
  const role = { kind: 'extension', extension: 'psd', name: 'all', purpose: 'ports' } as const;
  const form = { interval: true, timeout: true, counter: true, size: 1_000, shape: '' };
  const set: ManifestSet = { table: 'inet', name: 's', key, role, ...form };
  const manifest: Manifest = {
    ...{ format: 1, digest: '', tables: [{ family: 'inet', name: 'postern' }], sets: [set] },
    ...{ objects: [], chains: [], marks: [], groups: [] },
  };
  const sets: LiveSets = {
    covering: () => assert.fail('an element of several parts can not be looked up by one'),
    *elements(of) {
      assert.equal(of, set);
      yield* states;
    },
    ...{ object: () => undefined, tables: () => [], rules: () => [], close: () => {} },
  };
  const plan = { manifest, tables: [], ruleset: { tables: [] }, accounts: [], duties: [], notes: [], warnings: [] };
  const { policy } = parsePolicy('version: 1\n', { file: 'p.yaml' });
  return concernsOf({ address: parseAddress(address), policy: policy!, plan, loaded: { sets, plan }, now: 0 });
}

const elementsOf = (answer: AddressAnswer) => answer.remembered.map(({ element }) => element);

test('an address is found beside a protocol and a port, with what its element counts', () => {
  const counts = { expiresMs: 9_000, packets: 4n, bytes: 240n, usedBytes: 240n, limitBytes: 1_000n };
  const answer = concerns(
    '203.0.113.5',
    ['ipv4_addr', 'inet_proto', 'inet_service'],
    [[['203.0.113.5', 'tcp', 22], counts], [['203.0.113.6', 'tcp', 22]], [['203.0.113.5', 'udp', 53]]],
  );
  const told = [
    'psd all (ports): 203.0.113.5, tcp, port 22, 4 packets, 240 bytes, 240 of 1000 bytes used, for 9 s more',
    'psd all (ports): 203.0.113.5, udp, port 53',
  ];
  assert.equal(addressText(answer), `203.0.113.5\n\nRemembered:\n  ${told.join('\n  ')}\n`);
});

test('an address is found within a prefix and a range, in both families, whichever part it is', () => {
  const v4: readonly Row[] = [
    [['wan0', '203.0.113.0/24']],
    [['lan0', { range: ['203.0.113.4', '203.0.113.6'] }]],
    [['lan0', '198.51.100.0/24']],
  ];
  const found = ['interface wan0, 203.0.113.0/24', 'interface lan0, 203.0.113.4-203.0.113.6'];
  assert.deepEqual(elementsOf(concerns('203.0.113.5', ['ifname', 'ipv4_addr'], v4)), found);
  assert.deepEqual(elementsOf(concerns('203.0.113.7', ['ifname', 'ipv4_addr'], v4)), found.slice(0, 1));
  const v6: readonly Row[] = [[['2001:db8:1::/48', 443]], [['2001:db8:2::/48', { range: [80, 90] }]]];
  assert.deepEqual(elementsOf(concerns('2001:db8:2::5', ['ipv6_addr', 'inet_service'], v6)), [
    '2001:db8:2::/48, port 80-90',
  ]);
});

test('the second of two addresses counts, and the other family does not', () => {
  const rows: readonly Row[] = [[['198.51.100.1', '203.0.113.5']]];
  assert.deepEqual(elementsOf(concerns('203.0.113.5', ['ipv4_addr', 'ipv4_addr'], rows)), [
    '198.51.100.1, 203.0.113.5',
  ]);
  assert.deepEqual(concerns('2001:db8::5', ['ipv4_addr', 'ipv4_addr'], []).remembered, []);
});

test('of many elements a hundred are told, and how many there are besides', () => {
  const rows = Array.from({ length: 250 }, (_, port): Row => [['203.0.113.5', port]]);
  const { remembered } = concerns('203.0.113.5', ['ipv4_addr', 'inet_service'], rows);
  assert.equal(remembered.length, 101);
  assert.deepEqual(remembered.at(-1), { what: 'psd all (ports)', more: 150 });
});
