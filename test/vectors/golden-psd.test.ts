/**
 * Port scans against the recorded module: every packet through the scorer, and through the rules of the kernel form. In
 * the kernel pauses are real, so that a pause that came out too long makes the sequence start anew. Needs root.
 */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { parseProtocol } from '../../src/net/protocol.js';
import { type Probe, PsdScorer } from '../../src/services/psd/scorer.js';
import { scratchWorld } from '../kernel/scratch-world.js';
import { flagBitsOf, loadGolden } from './golden.js';
import { replayUsage, type UsageRow } from './usage.js';

interface Sequence {
  readonly label: string;
  readonly family: 4 | 6;
  readonly rule: string;
  readonly source: string;
  readonly packets: readonly string[];
  readonly matched: readonly number[] | readonly (readonly number[])[];
}
interface Golden {
  readonly sequences: readonly Sequence[];
  readonly usage: readonly UsageRow[];
}

const golden = loadGolden<Golden>('psd');

interface Step {
  readonly gapMs: number;
  readonly protocol: number;
  readonly port: number;
  readonly flags: number;
  readonly source: string;
  readonly sport: number;
  /** As in the IP header, flags included. */
  readonly fragment: number;
}

function stepOf(text: string, source: string): Step {
  const [, gap, protocol, port, flags] = /^(?:\(\+([0-9.]+)s\) )?(\w+)\/(\d+)(?: ([A-Z]+|null)\b)?/.exec(text) ?? [];
  if (protocol === undefined) throw new Error(`no packet: ${text}`);
  const word = (name: string) => new RegExp(` ${name} (\\S+)`).exec(text)?.[1];
  return {
    gapMs: Math.round(Number(gap ?? 0) * 1000),
    protocol: parseProtocol(protocol),
    port: Number(port),
    flags: flags === undefined || flags === 'null' ? 0 : flagBitsOf(flags),
    source: word('from') ?? source,
    sport: Number(word('sport') ?? 40_000),
    fragment: Number(word('frag') ?? 0),
  };
}

const option = (rule: string, name: string, usual: number) =>
  Number(new RegExp(`--psd-${name} (\\d+)`).exec(rule)?.[1] ?? usual);

const limitsOf = ({ rule }: Sequence) => ({
  weightThreshold: option(rule, 'weight-threshold', 21),
  delayMs: option(rule, 'delay-threshold', 300) * 10,
  loPortsWeight: option(rule, 'lo-ports-weight', 3),
  hiPortsWeight: option(rule, 'hi-ports-weight', 1),
});

/** Of rules in a row the first one's, since all had the same. */
const positions = ({ matched }: Sequence): readonly number[] => {
  const [first] = matched;
  return Array.isArray(first) ? (first as readonly number[]) : (matched as readonly number[]);
};

/** Why the scorer differs from the recorded module, told from the sequence's own fields. */
const scorerDifferences: Readonly<Record<string, (sequence: Sequence) => boolean>> = {
  'the original cuts a weight to 8 bits': (sequence) => {
    const { weightThreshold, loPortsWeight, hiPortsWeight } = limitsOf(sequence);
    return weightThreshold + Math.max(loPortsWeight, hiPortsWeight) > 256;
  },
  'what came before the sequence is not in the file': (sequence) =>
    /second half/.test(sequence.label) && firstHalf(sequence).length === 0,
};

/** What the same source has sent before. */
const firstHalf = ({ label, source }: Sequence): readonly Sequence[] =>
  /second half/.test(label)
    ? golden.sequences.filter(
        (one) => one.label !== label && (one.source === source || one.label === label.replace('second', 'first')),
      )
    : [];

const originalHosts = 256;

function scored(sequence: Sequence, hosts: number): number[] {
  const scorer = new PsdScorer(limitsOf(sequence), { hosts });
  let nowMs = 1_000;
  const play = ({ packets }: Sequence) =>
    packets.flatMap((text, index) => {
      const step = stepOf(text, sequence.source);
      nowMs += step.gapMs;
      return scorer.isScan(probeOf(step), nowMs) ? [index + 1] : [];
    });
  for (const one of firstHalf(sequence)) play(one);
  return play(sequence);
}

const probeOf = ({ source, protocol, port, flags, fragment }: Step): Probe => ({
  source: parseAddress(source),
  protocol,
  destinationPort: port,
  tcpFlags: flags,
  fragmentOffset: fragment & 0x1fff,
});

test('the scorer finds the packets that the recorded module found', (t) => {
  const seen = new Map<string, number>();
  let compared = 0;
  for (const sequence of golden.sequences) {
    const reason = Object.entries(scorerDifferences).find(([, differs]) => differs(sequence))?.[0];
    if (reason !== undefined) {
      seen.set(reason, (seen.get(reason) ?? 0) + 1);
      continue;
    }
    assert.deepEqual(scored(sequence, originalHosts), positions(sequence), sequence.label);
    compared++;
  }
  t.diagnostic(`psd on the scorer: compared ${compared} of ${golden.sequences.length} sequences`);
  for (const [reason, count] of seen) t.diagnostic(`differs on purpose, ${count}: ${reason}`);
  assert.ok(compared > 0);
  assert.equal(compared + differing(seen), golden.sequences.length);
});

/** How many sequences differ on purpose. */
const differing = (seen: ReadonlyMap<string, number>): number =>
  [...seen.values()].reduce((sum, count) => sum + count, 0);

/** Why the kernel form can't say what the module said; what it should say instead, where that is known. */
const kernelDifferences: Readonly<Record<string, (sequence: Sequence) => boolean>> = {
  ...scorerDifferences,
  'the kernel remembers any number of ports': ({ packets }) => {
    const distinct = new Set(packets).size;
    return distinct < packets.length && distinct > portsOfOriginal;
  },
  'the kernel remembers a port longer than the pause after which its source is forgotten': (sequence) => {
    const steps = sequence.packets.map((text) => stepOf(text, sequence.source));
    const keys = steps.map(({ protocol, port, source }) => `${source} ${protocol} ${port}`);
    return steps.some(({ gapMs }, pause) => {
      const before = new Set(keys.slice(0, pause));
      return gapMs > limitsOf(sequence).delayMs && keys.slice(pause).some((key) => before.has(key));
    });
  },
};
const portsOfOriginal = 20;

/** Each play has sources of its own, and so its memory. */
let plays = 0;
const mostSources = 1024n;
function sourcesOf(family: 4 | 6): (recorded: string) => string {
  const first = parseAddress(family === 4 ? '198.18.0.1' : '2001:db8:5::1').value + BigInt(plays++) * mostSources;
  const known = new Map<string, string>();
  return (recorded) => {
    const own = known.get(recorded) ?? formatAddress({ family, value: first + BigInt(known.size) });
    known.set(recorded, own);
    return own;
  };
}

const slack = 2;

test('the rules find with real packets what the recorded module found', async (t) => {
  const world = await scratchWorld({ after });
  const seen = new Map<string, number>();
  let compared = 0;
  let loaded = '';
  for (const sequence of golden.sequences) {
    const reason = Object.entries(kernelDifferences).find(([, differs]) => differs(sequence))?.[0];
    if (reason !== undefined) {
      seen.set(reason, (seen.get(reason) ?? 0) + 1);
      continue;
    }
    const policy = policyOf(sequence);
    if (policy !== loaded) await world.policy(policy);
    loaded = policy;
    const expected = scored(sequence, 65_536);
    for (let attempt = 0; ; attempt++) {
      const { found, late } = await play(sequence);
      if (late && attempt < 5) continue;
      assert.deepEqual(found, expected, sequence.label);
      break;
    }
    compared++;
  }
  t.diagnostic(`psd in the kernel: compared ${compared} of ${golden.sequences.length} sequences`);
  for (const [reason, count] of seen) t.diagnostic(`differs on purpose, ${count}: ${reason}`);
  assert.ok(compared > 0);
  assert.equal(compared + differing(seen), golden.sequences.length);

  async function play(sequence: Sequence): Promise<{ found: number[]; late: boolean }> {
    const { delayMs } = limitsOf(sequence);
    const sourceOf = sourcesOf(sequence.family);
    const found: number[] = [];
    const lastAt = new Map<string, number>();
    let late = false;
    const before = firstHalf(sequence).flatMap(({ packets }) => packets);
    for (const [index, text] of [...before, ...sequence.packets].entries()) {
      const step = stepOf(text, sequence.source);
      if (step.gapMs > 0) await sleep(step.gapMs / speed(sequence));
      const source = sourceOf(step.source);
      const { verdict } = await world.send('wan', packetOf({ ...step, source }, sequence.family));
      const now = performance.now();
      late ||= step.gapMs <= delayMs && now - (lastAt.get(source) ?? now) > delayMs / speed(sequence) - slack;
      lastAt.set(source, now);
      if (verdict === 'drop') found.push(index + 1 - before.length);
    }
    return { found: found.filter((position) => position > 0), late };
  }
});

/** Time runs slower where there are no pauses, and faster where pauses are too long anyway. */
function speed(sequence: Sequence): number {
  const { delayMs } = limitsOf(sequence);
  const pauses = sequence.packets.map((text) => stepOf(text, sequence.source).gapMs).filter((gapMs) => gapMs > 0);
  if (pauses.length === 0) return 0.1;
  return delayMs >= 3_000 && pauses.every((gapMs) => gapMs > delayMs) ? 5 : 1;
}

function policyOf(sequence: Sequence): string {
  const { weightThreshold, delayMs, loPortsWeight, hiPortsWeight } = limitsOf(sequence);
  const words = [
    `weight_threshold: ${weightThreshold}`,
    `delay_threshold: ${delayMs / speed(sequence)}ms`,
    `lo_ports_weight: ${loPortsWeight}`,
    `hi_ports_weight: ${hiPortsWeight}`,
  ];
  return `version: 1\nhygiene: off\nchains:\n  prerouting:\n    rules:\n      - { psd: { ${words.join(', ')} }, do: drop }\n`;
}

function packetOf(step: Step, family: 4 | 6) {
  const payload = Buffer.alloc(step.protocol === 6 ? 20 : 8);
  payload.writeUInt16BE(step.sport, 0);
  payload.writeUInt16BE(step.port, 2);
  if (step.protocol === 6) payload.set([0x50, step.flags], 12);
  else payload.writeUInt16BE(8, 4);
  const [source, destination] = [step.source, family === 4 ? '192.0.2.1' : '2001:db8::1'].map(parseAddress);
  return {
    source: source!,
    destination: destination!,
    protocol: step.protocol,
    ...(step.fragment > 0 && {
      fragment: { id: 7, offset: (step.fragment & 0x1fff) * 8, more: (step.fragment & 0x2000) !== 0 },
    }),
    payload,
  };
}

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage);
});
