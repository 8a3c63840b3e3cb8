/** TARPIT at ingress and by the responder, against the recorded module. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type TarpitMode, tarpitReply } from '../../src/extensions/models/tarpit.js';
import {
  type Difference,
  encodeGolden,
  flagBitsOf,
  type GoldenKind,
  GoldenRun,
  type GoldenTable,
  loadGolden,
  without,
} from './golden.js';
import { goldenHost, localAddress, routedAddress, strangerAddress } from './golden-host.js';
import { replayUsage, type UsageRow } from './usage.js';

interface Table extends GoldenTable {
  readonly mode: TarpitMode;
}
interface Golden {
  readonly tables: readonly Table[];
  readonly with_conntrack: readonly { readonly kind: string; readonly conntrack_list: string }[];
}
type Case = GoldenKind & Omit<Table, 'rows'>;

const golden = loadGolden<Golden>('tarpit');
const host = await goldenHost({ after });
const port = { tarpit: 8080, honeypot: 8081, reset: 8082 } as const;

const rules = (['tarpit', 'honeypot', 'reset'] as const).map(
  (mode) => `      - { tcp: ${port[mode]}, do: { tarpit: { mode: ${mode}, limit: off } } }`,
);

const fields = [
  ...(['tos', 'tot_len', 'id', 'df', 'ttl', 'tclass', 'payload_len', 'hlim', 'l4', 'type', 'code'] as const),
  ...(['flags', 'seq', 'ack', 'win', 'doff', 'opts', 'urg', 'data_len', 'l4_csum_ok'] as const),
];

const has = ({ sent }: Case, flag: string): boolean => sent.flags?.includes(flag) === true;
/** A SYN that is turned round in the kernel. */
const isTurnedSyn = (row: Case): boolean =>
  row.mode === 'tarpit' && has(row, 'S') && !'FRA'.split('').some((flag) => has(row, flag)) && row.sent.data_len === 0;
/** An ACK that is turned round in the kernel. */
const isTurnedAck = (row: Case): boolean =>
  row.mode === 'tarpit' &&
  has(row, 'A') &&
  !'FRS'.split('').some((flag) => has(row, flag)) &&
  row.sent.data_len === 0 &&
  row.sent.doff === 20;
const isAnswered = (row: Case): boolean =>
  row.sent.l4 === 'tcp' && row.sent.mf !== true && row.sent.ip_opts === undefined;

const differences: Readonly<Record<string, Difference<Case>>> = {
  'IPv6 works': {
    reason: '3.x answers IPv6 with nothing, or with segments without flags; we answer as for IPv4',
    applies: (row) => row.family === 6 && isAnswered(row),
    expected: (_, { mode, sent }) => {
      const segment = {
        flags: flagBitsOf(sent.flags!),
        seq: sent.seq!,
        ack: sent.ack!,
        window: sent.win!,
        payloadLength: sent.data_len! + (mode === 'honeypot' ? sent.doff! - 20 : 0),
      };
      const reply = tarpitReply(mode, segment, 15);
      if (reply === undefined) return [];
      const letters = [...'CEUAPRSF'].filter((letter) => (reply.flags & flagBitsOf(letter)) !== 0).join('') || 'none';
      return [
        {
          hlim: mode === 'honeypot' ? 128 : 64,
          flags: letters,
          seq: reply.seq,
          ack: reply.ack,
          win: reply.window,
          l4_csum_ok: true,
        },
      ];
    },
  },
  'window 0': {
    reason: 'the SYN+ACK of the kernel has window 0 instead of 5: the client sends no data, which could not be cut off',
    applies: isTurnedSyn,
    expected: (replies) => replies.map((reply) => ({ ...reply, win: 0 })),
  },
  'the packet is turned round': {
    reason: 'in the kernel id, DF and TCP options (as no-operations) stay as they came',
    applies: (row) => isTurnedSyn(row) || isTurnedAck(row),
    expected: (replies) => without(replies, 'id', 'df', 'tot_len', 'payload_len', 'doff', 'opts'),
  },
  'the honeypot draws': {
    reason: 'window and number of the honeypot are random; the test below holds them against the recorded samples',
    applies: (row) => row.mode === 'honeypot',
    expected: (replies, row) =>
      has(row, 'S') && !has(row, 'A') && !has(row, 'F') ? without(replies, 'win', 'seq') : without(replies, 'win'),
  },
  'before routing': {
    reason: 'a packet whose time to live ends here is answered before it would be refused for that',
    applies: (row) => row.chain === 'FORWARD' && row.sent.ttl === 1,
    expected: (_, row) => [
      { flags: row.mode === 'reset' ? 'R' : 'AS', ack: row.mode === 'reset' ? row.sent.seq! : row.sent.seq! + 1 },
    ],
  },
  'first fragments': {
    reason: 'the first fragment of a segment is not answered: the answer could be a fragment, too',
    applies: (row) => row.sent.mf === true,
    expected: () => [],
  },
  'checksums are not verified': {
    reason: 'nft can not verify a checksum: the answer of the kernel has the same error, the daemon answers anyway',
    applies: (row) => row.sent.l4_csum_ok === false,
    expected: (_, row) => [{ flags: row.mode === 'reset' ? 'R' : has(row, 'S') ? 'AS' : 'A' }],
  },
};

test('TARPIT answers as the recorded module did', async (t) => {
  await host.policy(`version: 1\nchains:\n  ingress:\n    on: wan\n    rules:\n${rules.join('\n')}\n`);
  const run = new GoldenRun<Case>(fields, differences);
  let sport = 20_000;
  for (const { mode, chain, family, rows } of golden.tables) {
    for (const row of rows) {
      const destination = chain === 'INPUT' ? localAddress[family] : routedAddress[family];
      const ends = { source: strangerAddress[family], destination, sport: sport++, dport: port[mode] };
      const answers = await host.answers(encodeGolden(row.sent, ends));
      for (const { sport: from, dport: to, l4 } of answers) {
        if (l4 === 'tcp') assert.deepEqual([from, to], [ends.dport, ends.sport]);
      }
      run.check(`${mode} ${chain} IPv${family} ${row.kind}`, { ...row, mode, chain, family }, answers);
    }
  }
  run.end(t);
});

test('the windows and numbers of the honeypot are those that the original draws from', async () => {
  interface Samples {
    readonly honeypot_syn_samples: readonly { readonly win: number; readonly ack_rel: string }[];
    readonly honeypot_ack_samples: readonly { readonly in_win: number; readonly win: number }[];
  }
  const { honeypot_syn_samples: syns, honeypot_ack_samples: acks } = loadGolden<Samples>('tarpit');
  const windowsOf = (window: number, flags: number): Set<number> =>
    new Set(
      Array.from(
        { length: 32 },
        (_, draw) => tarpitReply('honeypot', { flags, seq: 1, ack: 1, window, payloadLength: 0 }, draw)!.window,
      ),
    );
  for (const { in_win, win } of acks) assert.ok(windowsOf(in_win, 0x10).has(win), `window ${win} of ${in_win}`);
  assert.ok(syns.length > 0 && acks.length > 0);
});

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, loadGolden<{ readonly usage: readonly UsageRow[] }>('tarpit').usage);
});
