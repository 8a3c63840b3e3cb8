/** ipp2p against what the recorded module matched: packets through the kernel, the classifier on their copies. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type P2pProtocol, p2pNumber, p2pProtocols } from '../../src/extensions/models/ipp2p.js';
import { parseAddress } from '../../src/net/address.js';
import { recognise } from '../../src/services/ipp2p/duty.js';
import { FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { matchHost } from '../kernel/match-host.js';
import { loadGolden } from './golden.js';
import { readOriginal, yamlKeys } from './original-rule.js';
import { RowRun } from './row-run.js';
import { replayUsage, type UsageRow } from './usage.js';

interface Golden {
  readonly usage: readonly UsageRow[];
  /** By protocol and name, in hex. */
  readonly payloads: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly tables: readonly {
    readonly family: 4 | 6;
    readonly rule_prefix?: string;
    /** Each a rule. */
    readonly rule_flags: readonly P2pProtocol[];
    /** `tcp: NAME`, `tcp SYN NAME`, `tcp 12 options NAME`. */
    readonly rows: readonly { readonly packet: string; readonly matched: readonly string[] }[];
  }[];
}

interface Case {
  readonly family: 4 | 6;
  readonly prefix: string | undefined;
  readonly payload: Buffer;
}

const golden = loadGolden<Golden>('ipp2p');
const host = await matchHost({ after });

const text = ({ payload }: Case): string => payload.toString('latin1');
const differences = {
  'IPv6 without a protocol': {
    reason: 'the original matches nothing there unless the rule names a protocol; ours needs none',
    applies: ({ family, prefix }: Case) => family === 6 && prefix === undefined,
  },
  'words that 3.27 spells wrong': {
    reason: 'passkey= and X-Queue: are what the programs send, and what 3.23 looked for',
    applies: (one: Case) => /^GET .*(passkey=|\r\nX-Queue:)/s.test(text(one)),
    expected: (one: Case) => (text(one).includes('passkey=') ? ['bit'] : ['gnu']),
  },
  'the greeting of SoulSeek clients': {
    reason: '3.27 takes a malformed one only',
    applies: ({ payload }: Case) =>
      payload.length >= 19 && payload.readUInt32LE(0) === 20 && payload[4] === 1 && payload.length !== 20 + 4,
    expected: () => ['soul'],
  },
  'one name in quotes': {
    reason: 'a WinMX request names two in quotes; 3.27 counts one twice',
    applies: (one: Case) =>
      /^(GET|SEND)/.test(text(one)) && text(one).length >= 10 && text(one).split(' "').length === 2,
    expected: () => [],
  },
};

let port = 20_000;

/** The packet of a row; every packet is of a connection of its own. */
function packetOf(row: string, family: 4 | 6): Packet & { readonly payload: Buffer } {
  const transport = row.startsWith('udp') ? 'udp' : 'tcp';
  const known = golden.payloads[transport]!;
  const named = row.includes(': ') ? row.slice(row.indexOf(': ') + 2) : undefined;
  const hex = known[named ?? Object.keys(known).find((name) => name !== '' && row.endsWith(` ${name}`)) ?? ''];
  assert.notEqual(hex, undefined, `the payload of "${row}" is not recorded`);
  const payload = Buffer.from(hex!, 'hex');
  const ends = {
    source: parseAddress(family === 4 ? '203.0.113.5' : '2001:db8:7::5'),
    destination: parseAddress(family === 4 ? '192.0.2.1' : '2001:db8::1'),
  };
  const ports = { sourcePort: ++port, destinationPort: 2222 };
  if (transport === 'udp') return { ...ends, protocol: 17, udp: ports, payload };
  const opening = (['SYN', 'FIN', 'RST'] as const).filter((flag) => row.includes(` ${flag}`));
  const flags = opening.reduce(
    (bits, flag) => bits | FLAG_BIT[flag],
    opening.includes('SYN') ? 0 : FLAG_BIT.ACK | FLAG_BIT.PSH,
  );
  const options = new Uint8Array(Number(/ (\d+) options/.exec(row)?.[1] ?? 0)).fill(1);
  return { ...ends, protocol: 6, tcp: { ...ports, flags, options }, payload };
}

test('ipp2p recognises the packets that the recorded module matched', async (t) => {
  const run = new RowRun<Case>(differences);
  let inKernel = 0;
  for (const { family, rule_prefix: prefix, rule_flags: flags, rows } of golden.tables) {
    const transport = /-p (\w+)/.exec(prefix ?? '')?.[1];
    const read = flags.map((flag) => yamlKeys(readOriginal(`-A INPUT -m ipp2p --${flag}`, 'ipp2p').match));
    await host.rules(
      'input',
      read.map((match) => (transport === undefined ? match : `proto: ${transport}, ${match}`)),
    );
    for (const { packet: row, matched } of rows) {
      const packet = packetOf(row, family);
      const { hits, copies } = await host.seen(packet);
      const byRules = flags.filter((_, index) => hits[index] === 1);
      inKernel += byRules.length;
      const numbers = copies.flatMap((copy) => recognise(Buffer.from(copy.packet))?.number ?? []);
      const byDaemon = p2pProtocols.filter((protocol) => numbers.includes(p2pNumber(protocol)));
      const found = flags.filter((flag) => byRules.includes(flag) || byDaemon.includes(flag));
      run.check(`${row} of IPv${family} ${prefix ?? ''}`, { family, prefix, payload: packet.payload }, found, [
        ...matched,
      ]);
    }
  }
  t.diagnostic(`${inKernel} by the rules alone, the others by the classifier`);
  run.end(t, golden.tables.flatMap(({ rows }) => rows).length);
});

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage);
});
