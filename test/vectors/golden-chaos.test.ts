/** CHAOS at ingress against the recorded module, and its shares over many packets. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { decodeGolden, encodeGolden, type GoldenFields, loadGolden } from './golden.js';
import { goldenHost, localAddress, routedAddress, strangerAddress } from './golden-host.js';
import { refuses, replayUsage, takes, type UsageRow } from './usage.js';

interface Run {
  readonly label: string;
  readonly rule: string;
  readonly sent: number;
  /** Numbers by kind: `icmp:3/1`, `tcp:AS`. */
  readonly replies: Readonly<Record<string, number>>;
  readonly note: string | null;
  readonly params: { readonly reject_percentage: number; readonly delude_percentage: number } | null;
}

const { runs } = loadGolden<{ readonly runs: readonly Run[] }>('chaos');
const host = await goldenHost({ after });

/** The policy of a run: its variant and shares. */
async function load({ rule, params }: Pick<Run, 'rule' | 'params'>, more = ''): Promise<void> {
  const variant = /--(tarpit|delude)/.exec(rule)?.[1];
  const percent = (parameter: number) => `${Math.round((parameter / 0xffffffff) * 1_000_000) / 10_000}%`;
  const options = [
    'limit: off',
    ...(variant === undefined ? [] : [`${variant}: true`]),
    ...(params === null ? [] : [`reject_percentage: ${percent(params.reject_percentage)}`]),
    ...(params === null ? [] : [`delude_percentage: ${percent(params.delude_percentage)}`]),
  ];
  await host.policy(
    `version: 1\nchains:\n  ingress:\n    on: wan\n    rules:\n      - { to: any, do: { chaos: { ${options.join(', ')}${more} } } }\n`,
  );
}

function packetOf({ label }: Run, family: 4 | 6, sport: number): Buffer {
  const destination = label.startsWith('FORWARD') ? routedAddress[family] : localAddress[family];
  const ends = { source: strangerAddress[family], destination, sport, dport: 8080 };
  const flags = /^flags (\S+)/.exec(label)?.[1] ?? 'S';
  if (label.startsWith('short TCP')) return encodeGolden({ df: true }, ends);
  const fields = { df: true, l4: 'tcp', flags, seq: 0x11223344, ack: 0x55667788, win: 29200, data_len: 0 } as const;
  const packet = encodeGolden(fields, ends);
  if (label === 'icmp echo') {
    const echo = Buffer.from('0800f7fd00010001', 'hex');
    const icmp = Buffer.concat([packet.subarray(0, 20), echo]);
    icmp[9] = 1;
    icmp.writeUInt16BE(28, 2);
    icmp.writeUInt16BE(0, 10);
    icmp.writeUInt16BE(headerSum(icmp), 10);
    return icmp;
  }
  return packet;
}

function headerSum(packet: Buffer): number {
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const kindOf = ({ l4, type, code, flags }: GoldenFields): string =>
  l4 === 'tcp' ? `tcp:${flags}` : `icmp:${l4 === 'icmp6' ? '3/1' : `${type}/${code}`}`;

/** Kinds of answers to so many packets; every checksum is verified. */
async function count(
  make: (number: number) => Buffer,
  packets: number,
  responder = false,
): Promise<Map<string, number>> {
  const kinds = new Map<string, number>();
  const take = (answer: GoldenFields) => {
    assert.equal(answer.l4_csum_ok, true);
    kinds.set(kindOf(answer), (kinds.get(kindOf(answer)) ?? 0) + 1);
  };
  if (responder) {
    for (let number = 0; number < packets; number++) (await host.answers(make(number))).forEach(take);
    return kinds;
  }
  for (let done = 0; done < packets; done += 2_000) {
    const batch = Array.from({ length: Math.min(2_000, packets - done) }, (_, index) => make(done + index));
    for (const run of await host.scratch.inject(batch.map((packet) => ({ packet, at: { device: 'wan' } })))) {
      for (const { bytes } of run.frames) take(decodeGolden(Buffer.from(bytes.subarray(14))));
    }
  }
  return kinds;
}

/** Within six standard deviations: one run in a billion is outside. */
function assertShare(label: string, found: number, packets: number, share: number): void {
  const deviation = Math.sqrt(packets * share * (1 - share));
  assert.ok(Math.abs(found - packets * share) <= 6 * deviation, `${label}: ${found} of ${packets}, expected ${share}`);
}

const differences = {
  'tarpit is TARPIT': {
    reason: 'with --tarpit the original runs the honeypot; ours answers as TARPIT: FIN and no flags not at all',
    applies: ({ rule, label }: Run) =>
      rule.includes('--tarpit') && ['flags FA', 'flags none', 'flags SF', 'flags F', 'flags FPU'].includes(label),
    replies: {},
  },
  'no ICMP limit': {
    reason: "at ingress the kernel's limits on ICMP errors don't hold; the rule's own limit does",
    applies: ({ label }: Run) => label.includes('rate limit'),
    replies: undefined,
  },
} as const;

test('CHAOS answers as the recorded module did', async (t) => {
  const seen = new Map<string, number>();
  for (const run of runs) {
    await load(run);
    const { reject_percentage: reject, delude_percentage: delude } = run.params ?? {
      reject_percentage: 42949672,
      delude_percentage: 43379169,
    };
    const variant = /--(tarpit|delude)/.exec(run.rule);
    const refused = reject / 0xffffffff;
    const answered = variant === null ? 0 : (1 - refused) * (delude / 0xffffffff);
    const found = await count((number) => packetOf(run, 4, 20_000 + (number % 40_000)), run.sent, run.sent <= 500);
    const [name, difference] = Object.entries(differences).find(([, one]) => one.applies(run)) ?? [];
    if (name !== undefined) seen.set(name, (seen.get(name) ?? 0) + 1);
    if (name === 'no ICMP limit') {
      assert.equal(found.get('icmp:3/1'), run.sent);
      continue;
    }
    const wanted: Readonly<Record<string, number>> = difference?.replies ?? run.replies;
    assert.deepEqual([...found.keys()].sort(), Object.keys(wanted).sort(), `${run.rule} ${run.label}`);
    for (const [kind, number] of found) {
      assertShare(`${run.rule} ${run.label} ${kind}`, number, run.sent, kind === 'icmp:3/1' ? refused : answered);
    }
  }
  assert.ok(runs.length > 0);
  const counts = [...seen].map(([name, number]) => `${name}: ${number}`).join(', ');
  t.diagnostic(`compared ${runs.length} runs, differs on purpose ${counts}`);
  for (const name of seen.keys()) t.diagnostic(`${name}: ${differences[name as keyof typeof differences].reason}`);
});

for (const family of [4, 6] as const) {
  test(`over 50,000 packets of IPv${family} the shares are those of the policy`, async () => {
    const packets = 50_000;
    const syn = { label: 'SYN', rule: '', sent: 0, replies: {}, note: null, params: null };
    await load({ rule: '--delude', params: null });
    const usual = await count((number) => packetOf(syn, family, 1024 + (number % 60_000)), packets);
    assertShare('refused by default', usual.get('icmp:3/1') ?? 0, packets, 0.01);
    assertShare('deluded by default', usual.get('tcp:AS') ?? 0, packets, 0.0101 * 0.99);
    assert.deepEqual([...usual.keys()].sort(), ['icmp:3/1', 'tcp:AS']);
  });
}

test('a sticky lot is the same for a source and port each time, and the shares hold over sources', async () => {
  await load(
    { rule: '--delude', params: { reject_percentage: 0xffffffff * 0.2, delude_percentage: 0xffffffff * 0.5 } },
    ', sticky: true',
  );
  const fates = new Map<string, string>();
  for (let round = 0; round < 2; round++) {
    for (let source = 1; source < 250; source++) {
      const fields = { df: true, l4: 'tcp', flags: 'S', seq: 1, data_len: 0 } as const;
      const ends = { source: `198.18.7.${source}`, destination: localAddress[4], sport: 5000 + round, dport: 80 };
      const [answer] = await host.answers(encodeGolden(fields, ends));
      const fate = answer === undefined ? 'nothing' : kindOf(answer);
      assert.equal(fates.get(ends.source) ?? fate, fate, ends.source);
      fates.set(ends.source, fate);
    }
  }
  const number = (fate: string) => [...fates.values()].filter((one) => one === fate).length;
  assertShare('refused', number('icmp:3/1'), fates.size, 0.2);
  assertShare('deluded', number('tcp:AS'), fates.size, 0.4);
});

const usageDifferences = {
  tables: takes('there is no table to be in', ({ table, options }) => table !== 'filter' && options.length < 2),
  output: refuses(
    'what the host sends itself is neither held nor deluded; the original takes the rule and does neither',
    ({ chain, options }) => chain === 'OUTPUT' && options.length > 0,
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, loadGolden<{ readonly usage: readonly UsageRow[] }>('chaos').usage, usageDifferences);
});
