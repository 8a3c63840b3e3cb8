/** length2 against the lengths that the recorded module saw, by packets through the real kernel. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { parseProtocol, protocolNames } from '../../src/net/protocol.js';
import { encodePacket } from '../../src/wire/packet.js';
import { matchHost } from '../kernel/match-host.js';
import { loadGolden } from './golden.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { RowRun } from './row-run.js';
import { given, refuses, replayUsage, type UsageRow } from './usage.js';

interface Row {
  /** `tcp syn no options`, `sctp 2 chunks: DATA 24, SACK 16`: the first word that is a protocol. */
  readonly packet: string;
  readonly ip_len: number;
  /** null: no length matched. */
  readonly length_seen: number | null;
}

interface Table {
  readonly family: 4 | 6;
  /** `(default)`, `--layer3` … */
  readonly layer: string;
  readonly rows: readonly Row[];
}

interface Case extends Row {
  readonly family: 4 | 6;
  readonly layer: string;
}

const { tables, usage } = loadGolden<{ readonly tables: readonly Table[]; readonly usage: readonly UsageRow[] }>(
  'length2',
);
const host = await matchHost({ after });

const isHigher = ({ layer }: Case): boolean => /--layer[457]/.test(layer);
const differences = {
  'ICMPv6 is measured': {
    reason:
      'the original never matches ICMPv6 above layer 3; ours has the length without the IPv6 header, and without 4 bytes',
    applies: (one: Case) => one.family === 6 && /^icmp/.test(one.packet) && isHigher(one),
    expected: (one: Case) => seen(one.layer === '--layer4' ? one.ip_len - 40 : one.ip_len - 44),
  },
  'behind extension headers': {
    reason: 'extension headers of IPv6 belong to layer 4, and what is behind them has no layer 5',
    applies: (one: Case) => one.family === 6 && isHigher(one) && extension(one.packet) !== undefined,
    expected: (one: Case) => seen(one.layer === '--layer4' ? one.ip_len - 40 : null),
  },
  'later fragments': {
    reason: 'they have no header behind that of IP; what is compared is whatever stands there',
    applies: (one: Case) => /(second|later|last|middle) fragment/.test(one.packet) && /[57]$/.test(one.layer),
  },
};

/** What the rules say of a length: the one that was matched, and whether any was. */
const seen = (length: number | null) => ({ length, known: length !== null });

/** Of a hop-by-hop, destination or fragment header in front of the protocol. */
function extension(packet: string): number | undefined {
  if (/hop|hbh/i.test(packet)) return 0;
  if (/dst|dest/i.test(packet)) return 60;
  return /frag/i.test(packet) ? 44 : undefined;
}

const addresses = {
  4: ['203.0.113.5', '192.0.2.1'],
  6: ['2001:db8:7::5', '2001:db8::1'],
} as const;

function protocolIn(packet: string, family: 4 | 6): string {
  const words = packet.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const word = words.find((one) => protocolNames.includes(one)) ?? /\bproto(?:col)? (\d+)/.exec(packet)?.[1];
  assert.ok(word, `"${packet}" names no protocol`);
  return family === 6 && word === 'icmp' ? 'icmpv6' : word;
}

/** A packet as a row names it; how long its headers are is what the recording has of it at each layer. */
function packetOf({ packet, ip_len }: Row, family: 4 | 6): Buffer {
  const at = (layer: string): number | undefined =>
    tables.find((table) => table.family === family && table.layer === layer)?.rows.find((row) => row.packet === packet)
      ?.length_seen ?? undefined;
  const own = family === 4 ? ip_len - (at('--layer4') ?? ip_len - 20) : 40;
  const name = protocolIn(packet, family);
  const transport = (at('--layer4') ?? 0) - (at('--layer5') ?? 0);
  const payload = Buffer.alloc(ip_len - own);
  if (name === 'tcp' && payload.length > 13)
    payload.set([((at('--layer5') === undefined ? 20 : transport) / 4) << 4, 0x10], 12);
  if (name === 'dccp') payload[4] = transport / 4;
  const before = family === 6 ? extension(packet) : undefined;
  if (before !== undefined) payload.set([parseProtocol(name), 0, 0, before === 44 ? 1 : 0, 0, 0, 0, 0]);
  const encoded = encodePacket({
    source: parseAddress(addresses[family][0]),
    destination: parseAddress(addresses[family][1]),
    protocol: before ?? parseProtocol(name),
    ...(family === 4 && own > 20 && { options: Buffer.alloc(own - 20, 1) }),
    ...(family === 4 &&
      /fragment/.test(packet) && {
        fragment: /first/.test(packet) ? { id: 7, offset: 0, more: true } : { id: 7, offset: 80, more: false },
      }),
    payload,
  });
  assert.equal(encoded.length, ip_len, packet);
  return encoded;
}

test('length2 sees the lengths that the recorded module saw', async (t) => {
  const run = new RowRun<Case>(differences);
  for (const { family, layer, rows } of tables) {
    const option = layer.startsWith('--') ? `${layer} ` : '';
    const asked = new Set(rows.flatMap(({ ip_len, length_seen }) => [length_seen ?? 0, ip_len - 40, ip_len - 44]));
    const lengths = [...asked].filter((length) => length >= 0);
    const read = [...lengths.map(String), '0:65535'].map(
      (length) => readOriginal(`-A PREROUTING -m length2 ${option}--length ${length}`, 'length2').match,
    );
    await host.rules(
      'prerouting',
      read.map((match) => yamlKeys(match)),
    );
    for (const row of rows) {
      const found = await host.hits(packetOf(row, family));
      const known = found.pop() === 1;
      const matching = lengths.filter((_, index) => found[index] === 1);
      assert.ok(matching.length <= 1, `${row.packet} has ${matching.length} lengths`);
      const label = `${row.packet} of IPv${family} at ${layer}`;
      run.check(label, { ...row, family, layer }, { length: matching[0] ?? null, known }, seen(row.length_seen));
    }
  }
  run.end(t, tables.flatMap(({ rows }) => rows).length);
});

/** IPv6 without its header. */
const mostBytes = 65_535 + 40;
const usageDifferences = {
  'longer than any packet': refuses(
    'a length that no packet has is refused',
    (command) => Number(given(command, 'length')?.split(':')[0]) > mostBytes,
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, usage, usageDifferences);
});
