/** ECHO at ingress, against the recorded module. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  type Difference,
  encodeGolden,
  type GoldenRow,
  GoldenRun,
  type GoldenTable,
  loadGolden,
  without,
} from './golden.js';
import { goldenHost, localAddress, routedAddress, strangerAddress } from './golden-host.js';
import { refuses, replayUsage, takes, type UsageRow } from './usage.js';

interface Row extends GoldenRow, Pick<GoldenTable, 'family' | 'chain'> {
  readonly label: string;
}

const { rows } = loadGolden<{ readonly rows: readonly Row[] }>('echo');
const host = await goldenHost({ after });
await host.policy(
  'version: 1\nchains:\n  ingress:\n    on: wan\n    rules:\n      - { udp: 7, do: { echo: { limit: off } } }\n',
);

const fields = [
  ...(['tos', 'tot_len', 'id', 'df', 'ttl', 'tclass', 'flow', 'payload_len', 'hlim'] as const),
  ...(['l4', 'udp_len', 'data_len', 'l4_csum_ok'] as const),
];

const differences: Readonly<Record<string, Difference<Row>>> = {
  'other packets': {
    reason: 'these are no datagrams: who answers them is the host, not ECHO',
    applies: ({ sent }) => sent.l4 !== 'udp',
    expected: () => [],
  },
  'loop guard': {
    reason: 'a datagram from an echo port is not sent back, which would go on for ever',
    applies: ({ replies }) => replies.some(({ dport }) => dport === 7),
    expected: () => [],
  },
  'IP options': {
    reason: 'a datagram with IP options would carry them back: it is dropped',
    applies: ({ sent }) => sent.ip_opts !== undefined,
    expected: () => [],
  },
  fragments: {
    reason: 'a first fragment is dropped: the rest of the datagram would be missing',
    applies: ({ sent }) => sent.mf === true,
    expected: () => [],
  },
  'a wrong checksum': {
    reason: 'the datagram goes back as it came; the original computes a checksum for it',
    applies: ({ sent }) => sent.l4_csum_ok === false,
    expected: (replies) => replies.map((reply) => ({ ...reply, l4_csum_ok: false })),
  },
  'a length of its own': {
    reason: 'a datagram that is longer than its header says goes back as long as it came',
    applies: ({ sent, replies }) => sent.l4 === 'udp' && replies.length > 0 && sent.udp_len !== 8 + sent.data_len!,
    expected: (replies) => without(replies, 'tot_len', 'payload_len', 'data_len', 'l4_csum_ok'),
  },
};

test('ECHO answers as the recorded module did', async (t) => {
  const run = new GoldenRun<Row>(fields, differences);
  let port = 4100;
  for (const row of rows) {
    const isLoop = row.replies.some(({ dport }) => dport === 7);
    const ends = {
      source: strangerAddress[row.family],
      destination: row.chain === 'INPUT' ? localAddress[row.family] : routedAddress[row.family],
      sport: isLoop ? 7 : port++,
      dport: 7,
    };
    const answers = await host.answers(encodeGolden(row.sent, ends));
    const echoes = answers.filter(({ l4 }) => l4 === 'udp');
    for (const { sport, dport } of echoes) assert.deepEqual([sport, dport], [7, ends.sport]);
    run.check(`IPv${row.family} ${row.chain} ${row.label}`, row, echoes);
  }
  run.end(t);
});

const usageDifferences = {
  tables: takes('there is no table to be in', ({ table, protocol }) => table !== 'filter' && protocol === 'udp'),
  output: refuses('what the host sends itself is not answered', ({ chain }) => chain === 'OUTPUT'),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, loadGolden<{ readonly usage: readonly UsageRow[] }>('echo').usage, usageDifferences);
});
