import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from '../../src/net/prefix.js';
import type { Action, Match } from '../../src/policy/ast.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { laterWords } from './later-words.js';

const declared = `
tables: { t: {}, web: {} }
accounts: { sales: 192.0.2.0/24 }
conditions: { night: on }
`;

const owners = new Map([
  ['user root', 0],
  ['group mail', 8],
]);

/** What a part says, without where it stands. */
function said<T extends Match | Action>(part: T | undefined): unknown {
  return JSON.parse(
    JSON.stringify(part, (key, value: unknown) =>
      key === 'at' ? undefined : typeof value === 'bigint' ? String(value) : value,
    ),
  );
}

function ruleIn(place: string, rule: string) {
  const text = `${declared}${place === 'nat' ? 'nat:\n' : `chains:\n  ${place}:\n    rules:\n`}      - ${rule}\n${place === 'nat' ? '' : '  own: {}\n'}`;
  const { policy, diagnostics } = parsePolicy(text, {
    file: 'p.yaml',
    vocabulary: laterWords,
    resolveOwner: (kind, name) => owners.get(`${kind} ${name}`),
  });
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  );
  const found = place === 'nat' ? policy?.nat[0] : policy?.chains.get(place)?.rules[0];
  assert.ok(found);
  return found;
}

const range = (first: number, last = first) => ({ first, last });
const some = (...any: unknown[]) => ({ any, not: [] });
const none = (...not: unknown[]) => ({ any: [], not });
const network = (text: string) => {
  const { family, first, last } = parseRange(text);
  return { kind: 'range', range: { family, first: String(first), last: String(last) } };
};
const everyMark = 0xffff_ffff;

const matches: readonly (readonly [place: string, written: string, meant: unknown])[] = [
  ['input', 'in: wan', { word: 'in', interfaces: some({ device: 'wan' }) }],
  ['forward', 'out: any', { word: 'out', interfaces: 'any' }],
  [
    'filter',
    'via: [eth0, not ppp*]',
    { word: 'via', interfaces: { any: [{ device: 'eth0' }], not: [{ device: 'ppp*' }] } },
  ],
  ['input', 'from: 192.0.2.1', { word: 'from', addresses: some(network('192.0.2.1')) }],
  ['input', 'to: any', { word: 'to', addresses: 'any' }],
  ['input', 'to: me', { word: 'to', addresses: some({ kind: 'me' }) }],
  [
    'input',
    'from: [2001:db8::/32, not 192.0.2.1-192.0.2.9, <t>]',
    {
      word: 'from',
      addresses: {
        any: [network('2001:db8::/32'), { kind: 'table', table: 't' }],
        not: [network('192.0.2.1-192.0.2.9')],
      },
    },
  ],
  [
    'input',
    'from: not lan:network',
    { word: 'from', addresses: none({ kind: 'interface', interface: 'lan', device: 'lan', part: 'network' }) },
  ],
  ['input', 'from: 192.0.2.0/255.255.255.0', { word: 'from', addresses: some(network('192.0.2.0/24')) }],
  ['input', 'family: ipv6', { word: 'family', family: 6 }],
  ['input', 'proto: [tcp, 47, ipv6-icmp]', { word: 'proto', protocols: some(6, 47, 58) }],
  ['input', 'tcp: [ssh, 25, 1025-65535]', { word: 'tcp', ports: some(range(22), range(25), range(1025, 65_535)) }],
  ['input', 'tcp: ftp-data', { word: 'tcp', ports: some(range(20)) }],
  ['input', 'udp: not 53', { word: 'udp', ports: none(range(53)) }],
  ['input', 'port: any', { word: 'port', ports: 'any' }],
  ['input', 'icmp: any', { word: 'icmp', types: 'any' }],
  [
    'input',
    'icmp: [ping, too-big, unreachable/port]',
    {
      word: 'icmp',
      types: some(
        { name: 'ping', v4: { type: 8 }, v6: { type: 128 } },
        { name: 'too-big', v4: { type: 3, code: 4 }, v6: { type: 2 } },
        { name: 'unreachable/port', v4: { type: 3, code: 3 }, v6: { type: 1, code: 4 } },
      ),
    },
  ],
  ['input', 'icmp: timestamp-request', { word: 'icmp', types: some({ name: 'timestamp-request', v4: { type: 13 } }) }],
  ['input', 'flags: S/SA', { word: 'flags', flags: [{ mask: 0x12, value: 0x02 }] }],
  ['input', 'flags: S', { word: 'flags', flags: [{ mask: 0x3f, value: 0x02 }] }],
  ['input', 'flags: SE', { word: 'flags', flags: [{ mask: 0x7f, value: 0x42 }] }],
  [
    'input',
    'flags: [A/A, R/R]',
    {
      word: 'flags',
      flags: [
        { mask: 0x10, value: 0x10 },
        { mask: 4, value: 4 },
      ],
    },
  ],
  ['input', 'flags: none/FSRPAU', { word: 'flags', flags: [{ mask: 0x3f, value: 0 }] }],
  ['input', 'flags: any', { word: 'flags', flags: 'any' }],
  ['input', 'short: true', { word: 'short' }],
  ['input', 'state: [new, not untracked]', { word: 'state', states: { any: ['new'], not: ['untracked'] } }],
  ['input', 'mark: 16', { word: 'mark', of: 'packet', value: 16, mask: everyMark, negated: false }],
  ['input', 'mark: not connection 0x10/0xff', { word: 'mark', of: 'connection', value: 16, mask: 255, negated: true }],
  ['input', 'limit: 15/5s', { word: 'limit', rate: { count: 15, perMs: 5000, unit: 'packets' } }],
  [
    'input',
    'limit: 10MB/1s per source burst 1MB',
    { word: 'limit', rate: { count: 1e7, perMs: 1000, unit: 'bytes', burst: 1e6 }, per: 'source' },
  ],
  ['output', 'user: [root, 1000-1999]', { word: 'user', ids: some(range(0), range(1000, 1999)) }],
  ['output', 'group: not mail', { word: 'group', ids: none(range(8)) }],
  ['input', 'conns: 2 per source', { word: 'conns', count: 2, per: 'source' }],
  ['input', 'when: not night', { word: 'extension', name: 'when', spec: 'night', negated: true }],
  [
    'input',
    'psd: { weight_threshold: 30 }',
    { word: 'extension', name: 'psd', spec: { weight_threshold: 30, delay_threshold: 3000 }, negated: false },
  ],
  ['nat', 'on: wan', { word: 'via', interfaces: some({ device: 'wan' }) }],
];

for (const [place, written, meant] of matches) {
  test(`"${written}" is read as what it means`, () => {
    const action = place === 'nat' ? 'map 192.0.2.2 to 203.0.113.2' : 'drop';
    assert.deepEqual(said(ruleIn(place, `{ ${written}, do: ${action} }`).matches[0]), meant);
  });
}

const actions: readonly (readonly [place: string, written: string, meant: unknown])[] = [
  ...(['accept', 'drop', 'block', 'count', 'return'] as const).map((action) => ['input', action, { action }] as const),
  ['prerouting', 'notrack', { action: 'notrack' }],
  ['input', 'reject', { action: 'reject', with: 'default' }],
  ['input', 'reject with admin', { action: 'reject', with: 'admin' }],
  ['input', 'jump own', { action: 'jump', chain: 'own' }],
  ['input', 'goto own', { action: 'goto', chain: 'own' }],
  ['input', 'log', { action: 'log', log: {} }],
  ['input', 'log odd', { action: 'log', log: { name: 'odd' } }],
  ['input', '{ log: { name: odd, body: 64 } }', { action: 'log', log: { name: 'odd', body: 64 } }],
  ['input', 'mark 0x10', { action: 'mark', of: 'packet', value: 16, mask: everyMark }],
  ['input', 'mark connection 0x10/0xff', { action: 'mark', of: 'connection', value: 16, mask: 255 }],
  ['input', 'add source to <t>', { action: 'add', what: 'source', table: 't' }],
  ['input', 'add destination to <t> for 10m', { action: 'add', what: 'destination', table: 't', timeoutMs: 600_000 }],
  ['input', 'delete source from <t>', { action: 'delete', what: 'source', table: 't' }],
  ['forward', 'account sales', { action: 'account', account: 'sales' }],
  ['nat', 'masquerade', { action: 'masquerade' }],
  ['nat', 'masquerade port 20000-60000', { action: 'masquerade', port: range(20_000, 60_000) }],
  ['nat', 'snat to 203.0.113.16/28 sticky', { action: 'snat', to: network('203.0.113.16/28').range, sticky: true }],
  ['nat', 'dnat to 2001:db8::1 port 80', { action: 'dnat', to: network('2001:db8::1').range, port: range(80) }],
  ['nat', 'dnat to <web> sticky round-robin', { action: 'dnat', table: 'web', pick: 'round-robin', sticky: true }],
  ['nat', 'redirect to 8021', { action: 'redirect', port: range(8021) }],
  ['input', 'queue slow', { action: 'extension', name: 'queue', spec: { class: 'slow' } }],
  ['input', 'chaos', { action: 'extension', name: 'chaos', spec: {} }],
  ['input', '{ chaos: { delude: on } }', { action: 'extension', name: 'chaos', spec: { delude: true } }],
];

for (const [place, written, meant] of actions) {
  test(`"do: ${written}" is read as what it means`, () => {
    const match = place === 'nat' ? 'proto: tcp' : 'from: any';
    assert.deepEqual(said(ruleIn(place, `{ ${match}, do: ${written} }`).actions[0]), meant);
  });
}

test('the key log comes before all actions', () => {
  const { actions } = ruleIn('input', '{ do: [count, drop], log: ssh }');
  assert.deepEqual(
    actions.map(({ action }) => action),
    ['log', 'count', 'drop'],
  );
});
