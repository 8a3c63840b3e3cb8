/** DELUDE at ingress, against the recorded module; IPv6 is held to the same answers. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { deludeReply } from '../../src/extensions/models/delude.js';
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
import { replayUsage, takes, type UsageRow } from './usage.js';

type Case = GoldenKind & Pick<GoldenTable, 'chain'>;
interface Golden {
  readonly tables: readonly (GoldenTable & { readonly target: string })[];
}

const golden = loadGolden<Golden>('delude');
const tables = golden.tables.filter(({ target }) => target === 'DELUDE');
const host = await goldenHost({ after });
await host.policy(
  'version: 1\nchains:\n  ingress:\n    on: wan\n    rules:\n      - { tcp: 8080, do: { delude: { limit: off } } }\n',
);

const common = [
  'l4',
  'type',
  'code',
  'flags',
  'seq',
  'ack',
  'win',
  'doff',
  'opts',
  'urg',
  'data_len',
  'l4_csum_ok',
] as const;
const fields = ['tos', 'tot_len', 'id', 'df', 'ttl', 'hlim', ...common] as const;

const has = ({ sent }: GoldenKind, flag: string): boolean => sent.flags?.includes(flag) === true;
const isSyn = (row: GoldenKind): boolean => has(row, 'S') && !'FRA'.split('').some((flag) => has(row, flag));
const isTurned = (row: GoldenKind): boolean => isSyn(row) && row.sent.data_len === 0 && row.sent.ip_opts === undefined;

const differences: Readonly<Record<string, Difference<Case>>> = {
  'time to live': {
    reason: 'the answers of the original have a time to live of 0 and end at the next router; ours have 64',
    applies: ({ replies }) => replies.some(({ ttl }) => ttl === 0),
    expected: (replies) => replies.map((reply) => ({ ...reply, ttl: 64 })),
  },
  'the SYN is turned round': {
    reason: 'in the SYN+ACK type of service, id, DF and TCP options (as no-operations) stay as they came',
    applies: isTurned,
    expected: (replies) => without(replies, 'tos', 'id', 'df', 'tot_len', 'doff', 'opts'),
  },
  'SYNs with data or IP options': {
    reason: 'a SYN that could not be turned round as it is, is refused instead of taken',
    applies: (row) => isSyn(row) && !isTurned(row) && row.sent.l4 === 'tcp' && row.sent.mf !== true,
    expected: (replies) => replies.map((reply) => ({ ...reply, flags: 'AR' })),
  },
  'before routing': {
    reason: 'a packet whose time to live ends here is answered before it would be refused for that',
    applies: (row) => row.chain === 'FORWARD' && row.sent.ttl === 1,
    expected: (_, { sent }) => [{ flags: 'AS', ack: sent.seq! + 1 }],
  },
  'first fragments': {
    reason: 'the first fragment of a segment is not answered: the answer could be a fragment, too',
    applies: ({ sent }) => sent.mf === true,
    expected: () => [],
  },
  'checksums are not verified': {
    reason: 'nft can not verify a checksum: the SYN+ACK has the same error; resets verify it',
    applies: (row) => row.sent.l4_csum_ok === false && isTurned(row),
    expected: () => [{ flags: 'AS' }],
  },
};

test('DELUDE answers as the recorded module did', async (t) => {
  const run = new GoldenRun<Case>(fields, differences);
  let sport = 20_000;
  for (const { chain, family, rows } of tables) {
    for (const row of rows) {
      const destination = chain === 'INPUT' ? localAddress[family] : routedAddress[family];
      const ends = { source: strangerAddress[family], destination, sport: sport++, dport: 8080 };
      run.check(
        `${chain} IPv${family} ${row.kind}`,
        { ...row, chain },
        await host.answers(encodeGolden(row.sent, ends)),
      );
    }
  }
  run.end(t);
});

test('DELUDE answers IPv6 as the model of the original says for IPv4', async () => {
  let compared = 0;
  for (const { chain, rows } of tables) {
    for (const { kind, sent } of rows.filter(
      ({ sent }) => sent.l4 === 'tcp' && sent.mf !== true && sent.ip_opts === undefined,
    )) {
      const destination = chain === 'INPUT' ? localAddress[6] : routedAddress[6];
      const ends = { source: strangerAddress[6], destination, sport: 30_000 + compared, dport: 8080 };
      const { tos, ...rest } = sent;
      const answers = await host.answers(encodeGolden({ ...rest, tclass: tos ?? 0 }, ends));
      const flags = flagBitsOf(sent.flags!);
      const reply = deludeReply({
        flags,
        seq: sent.seq!,
        ack: sent.ack!,
        window: sent.win!,
        payloadLength: sent.data_len!,
      });
      const isRefused = (flags & 0x17) === 0x02 && sent.data_len! > 0;
      const wanted = reply && {
        flags: isRefused ? 0x14 : reply.flags,
        seq: reply.seq,
        ack: reply.ack,
        ok: true,
        hlim: 64,
      };
      const found = answers.map((answer) => ({
        flags: flagBitsOf(answer.flags ?? 'none'),
        seq: answer.seq,
        ack: answer.ack,
        ok: answer.l4_csum_ok,
        hlim: answer.hlim,
      }));
      assert.deepEqual(found, wanted === undefined ? [] : [wanted], kind);
      compared++;
    }
  }
  assert.ok(compared > 0);
});

const usageDifferences = {
  tables: takes(
    'there is no table to be in',
    ({ table, chain }) => table !== 'filter' && /^(INPUT|FORWARD)$/.test(chain),
  ),
  IPv6: takes(
    'ours answers IPv6, too',
    ({ family, chain, protocol }) => family === 6 && protocol === 'tcp' && /^(INPUT|FORWARD)$/.test(chain),
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, loadGolden<{ readonly usage: readonly UsageRow[] }>('delude').usage, usageDifferences);
});
