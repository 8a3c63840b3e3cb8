/** An expectation held against what became of the packets. */

import type { Plan } from '../../compiler/plan.js';
import { type AddressRange, formatAddress } from '../../net/address.js';
import { formatRange, rangeContains } from '../../net/prefix.js';
import { mergeRanges, subtractRanges } from '../../net/ranges.js';
import { icmpNumbers } from '../../policy/formats/icmp.js';
import { flagNames, portsOf } from '../../wire/packet.js';
import type { PolicyIndex } from '../policy-index.js';
import type { Exit, Outcome } from '../reading.js';
import type { Expectation, Reply } from './model.js';

/** What a check looks at. */
export interface Seen {
  /** Of all packets of the step. */
  readonly outcomes: readonly Outcome[];
  readonly index: PolicyIndex;
  readonly plan: Plan;
  /** Devices by the names that the file uses. */
  readonly deviceOf: (name: string) => string | undefined;
  /** What is in the tables that are asked for, without the policy's own entries; undefined: no such table. */
  readonly tables: ReadonlyMap<string, readonly AddressRange[] | undefined>;
}

/** What is not as expected, for people; undefined when all is. */
export function check(expectation: Expectation, seen: Seen): string | undefined {
  if (expectation.what === 'tables') return checkTable(expectation, seen);
  if (expectation.what === 'verdicts') return checkShares(expectation, seen);
  const failures = seen.outcomes.flatMap((outcome) => checkOne(expectation, outcome, seen) ?? []);
  const [first] = failures;
  if (first === undefined || failures.length === 1) return first;
  return `${first} (and ${failures.length - 1} more of ${seen.outcomes.length} packets)`;
}

type OfOne = Exclude<Expectation, { what: 'tables' | 'verdicts' }>;

function checkOne(expectation: OfOne, outcome: Outcome, seen: Seen): string | undefined {
  const happened = (): string => `${outcome.verdict} ${outcome.incomplete ?? seen.index.describe(outcome.stop)}`;
  switch (expectation.what) {
    case 'verdict':
      if (outcome.verdict === expectation.verdict) return undefined;
      return `expected verdict ${expectation.verdict}, got ${happened()}`;
    case 'by':
      return isBy(expectation.by, outcome, seen.index)
        ? undefined
        : `expected it by ${expectation.by}, got ${happened()}`;
    case 'out':
      return checkOut(expectation.interfaces, outcome, seen);
    case 'state':
      return outcome.state === expectation.state
        ? undefined
        : `expected state ${expectation.state}, got ${outcome.state}`;
    case 'mark':
      return outcome.mark === expectation.mark
        ? undefined
        : `expected mark ${hex(expectation.mark)}, got ${hex(outcome.mark)}`;
    case 'duties':
      return checkDuties(expectation.duties, outcome, seen.plan);
    case 'reply':
      return checkReply(
        expectation.reply,
        outcome.out.filter(({ kind }) => kind === 'answer'),
      );
  }
}

const hex = (mark: number): string => `0x${mark.toString(16)}`;

function isBy(by: string, { stop }: Outcome, index: PolicyIndex): boolean {
  if (/^\d+$/.test(by)) return index.placeOf(stop)?.line === Number(by);
  if (stop.by === 'host') return by === stop.reason;
  if (stop.by !== 'rule') return by === stop.by;
  const rule = index.ruleAt(stop.rule.rule.origin);
  return rule !== undefined && (rule.name === by || rule.text === by);
}

function checkOut(names: readonly string[], { out }: Outcome, { deviceOf }: Seen): string | undefined {
  const wanted = [...new Set(names.map((name) => deviceOf(name) ?? name))].sort();
  const got = [...new Set(out.filter(({ kind }) => kind === 'onward').map(({ device }) => device))].sort();
  if (wanted.join() === got.join()) return undefined;
  return `expected it to leave by ${wanted.join(', ') || 'no interface'}, it left by ${got.join(', ') || 'none'}`;
}

function checkDuties(wanted: readonly string[], { copies }: Outcome, plan: Plan): string | undefined {
  const called = copies.map(({ group, prefix }) => {
    const duty = plan.duties.find(({ nflogGroup }) => nflogGroup === group);
    return duty === undefined ? [prefix] : [duty.name, duty.kind, `${duty.kind} ${duty.name}`, prefix];
  });
  const missing = wanted.find((name) => !called.some((names) => names.includes(name)));
  const extra = called.find((names) => !names.some((name) => wanted.includes(name)));
  if (missing === undefined && extra === undefined) return undefined;
  const list = called.map(([name]) => name).join(', ');
  return `expected duties ${wanted.join(', ') || 'none'}, called were ${list || 'none'}`;
}

function checkReply(wanted: 'none' | Reply, answers: readonly Exit[]): string | undefined {
  if (wanted === 'none') return answers.length === 0 ? undefined : `expected no reply, got ${replyText(answers[0]!)}`;
  if (answers.some((answer) => isReply(wanted, answer))) return undefined;
  return `no reply is as expected; got ${answers.map(replyText).join('; ') || 'none'}`;
}

function isReply({ tcp, icmp, from, port }: Reply, { packet }: Exit): boolean {
  if (tcp !== undefined && packet.tcp?.flags !== tcp) return false;
  if (port !== undefined && portsOf(packet)?.sourcePort !== port) return false;
  if (from !== undefined && !(from.family === packet.source.family && rangeContains(from, packet.source))) return false;
  if (icmp === undefined) return true;
  const both = icmpNumbers(icmp);
  const numbers = packet.source.family === 4 ? both?.v4 : both?.v6;
  return numbers?.type === packet.icmp?.type && (numbers?.code === undefined || numbers.code === packet.icmp?.code);
}

/** `tcp rst,ack from 192.0.2.1:25 by wan`. */
export function replyText({ packet, device }: Exit): string {
  const { tcp, icmp, source } = packet;
  const what =
    tcp === undefined
      ? icmp === undefined
        ? 'a packet'
        : `icmp ${icmp.type}/${icmp.code}`
      : `tcp ${flagNames(tcp.flags)}`;
  const port = portsOf(packet)?.sourcePort;
  return `${what} from ${formatAddress(source)}${port === undefined ? '' : ` port ${port}`} by ${device}`;
}

function checkTable(
  { table, hosts }: Extract<Expectation, { what: 'tables' }>,
  { tables, plan }: Seen,
): string | undefined {
  const got = tables.get(table);
  if (got === undefined) {
    return `the policy has no table ${table}; it has ${plan.tables.map(({ name }) => name).join(', ') || 'none'}`;
  }
  const wanted = mergeRanges(hosts);
  const missing = subtractRanges(wanted, got);
  const extra = subtractRanges(got, wanted);
  if (missing.length === 0 && extra.length === 0) return undefined;
  const parts = [
    ...(missing.length > 0 ? [`${missing.map(formatRange).join(', ')} is missing`] : []),
    ...(extra.length > 0 ? [`${extra.map(formatRange).join(', ')} is in it`] : []),
  ];
  return `table ${table}: ${parts.join(', ')}`;
}

function checkShares({ shares }: Extract<Expectation, { what: 'verdicts' }>, { outcomes }: Seen): string | undefined {
  const wrong = shares.flatMap(({ verdict, least, most }) => {
    const share = outcomes.filter((outcome) => outcome.verdict === verdict).length / outcomes.length;
    if (share >= least && share <= most) return [];
    return [`expected ${percent(least)} to ${percent(most)} ${verdict}, got ${percent(share)} of ${outcomes.length}`];
  });
  return wrong.length === 0 ? undefined : wrong.join('; ');
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
