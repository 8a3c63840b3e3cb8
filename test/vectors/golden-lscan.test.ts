/** Sessions through the compiled states, against what the recorded module said of each packet. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { scratchWorld } from '../kernel/scratch-world.js';
import { flagBitsOf, loadGolden } from './golden.js';
import { refuses, replayUsage, takes, type UsageRow } from './usage.js';

interface Session {
  readonly label: string;
  readonly rules: readonly string[];
  readonly conntrack_active: boolean;
  readonly dport: number;
  readonly packets: readonly {
    readonly packet: string;
    /** The options of each rule that matched. */
    readonly matched: readonly string[];
    readonly server_replies: readonly string[];
  }[];
}
interface Golden {
  readonly sessions: readonly Session[];
  readonly usage: readonly UsageRow[];
}

const golden = loadGolden<Golden>('lscan');
const client = '203.0.113.5';
const server = '198.51.100.77';

const optionsOf = (rule: string) => rule.slice(rule.indexOf('--'));
/** Offers of ECN don’t matter. */
const isStart = (packet: string) => /^S[EC]*( |$)/.test(packet);
/** The second packet is none that goes on with a handshake. */
const isScan = ({ packets }: Session) => isStart(packets[0]!.packet) && !/^A( |$)/.test(packets[1]?.packet ?? 'A');

/** Where we differ on purpose, told from the session, the packet's place and the rule. */
const differences: Readonly<Record<string, (session: Session, at: number, rule: string) => boolean>> = {
  'connections are tracked whenever a rule asks': ({ conntrack_active }) => !conntrack_active,
  'a SYN that is sent again is no scan': ({ packets }, at) =>
    at > 0 && isStart(packets[0]!.packet) && isStart(packets[1]!.packet),
  'an ACK that brings data because the one before was lost is no scan': ({ packets }, at) =>
    at > 0 && isStart(packets[0]!.packet) && /^[PU]+A \d+ bytes|^A[PU]+ \d+ bytes/.test(packets[1]!.packet),
  'a SYN scan is reported by synscan': (session, at, rule) =>
    at > 0 && isScan(session) && (rule.includes('--stealth') || rule.includes('--synscan')),
};

function policyOf({ rules }: Session): string {
  const lines = rules.map((rule, index) => {
    const kinds = optionsOf(rule)
      .split(' ')
      .map((option) => option.replace('--', ''));
    return `      - { tcp: any, lscan: [${kinds.join(', ')}], do: mark 0x${(1 << index).toString(16)}/0x${(1 << index).toString(16)} }`;
  });
  return `version: 1\nchains:\n  forward:\n    rules:\n${lines.join('\n')}\n      - { state: [established, related], do: accept }\n`;
}

let port = 20_000;

test('the rules tell scans from connections as the recorded module did', async (t) => {
  const world = await scratchWorld({ after });
  const seen = new Map<string, number>();
  let compared = 0;
  let loaded = '';
  for (const session of golden.sessions) {
    const policy = policyOf(session);
    if (policy !== loaded) await world.policy(policy);
    loaded = policy;
    const { dport } = session;
    const sport = port++;
    const next = { client: 1_000, server: 5_000 };
    const segment = (text: string, fromServer: boolean) => {
      const [, letters = '', bytes] = /^([A-Za-z]+)(?: (\d+) bytes|\+(\d+))?/.exec(text) ?? [];
      const flags = letters === 'null' ? 0 : flagBitsOf(letters);
      const data = Buffer.alloc(Number(bytes ?? /\+(\d+)/.exec(text)?.[1] ?? 0), 0x41);
      const [own, other] = fromServer ? (['server', 'client'] as const) : (['client', 'server'] as const);
      const destination = parseAddress(fromServer ? client : server);
      const seq = text.includes('seq=daddr') ? Number(destination.value) : next[own];
      const packet = {
        source: parseAddress(fromServer ? server : client),
        destination,
        protocol: 6,
        tcp: {
          sourcePort: fromServer ? dport : sport,
          destinationPort: fromServer ? sport : dport,
          sequence: seq,
          acknowledgement: (flags & 0x10) === 0 ? 0 : next[other],
          flags,
          window: 29_200,
        },
        payload: data,
      };
      next[own] += data.length + (flags & 0x03 ? 1 : 0);
      return packet;
    };
    for (const [at, { packet, matched, server_replies: replies }] of session.packets.entries()) {
      const { mark = 0 } = await world.send('wan', segment(packet, false));
      for (const [index, rule] of session.rules.entries()) {
        const theirs = matched.includes(optionsOf(rule));
        const ours = ((mark >> index) & 1) === 1;
        compared++;
        if (ours === theirs) continue;
        const reason = Object.entries(differences).find(([, differs]) => differs(session, at, rule))?.[0];
        assert.ok(reason, `${session.label}, packet ${at + 1} (${packet}), ${rule}: we say ${ours}`);
        seen.set(reason, (seen.get(reason) ?? 0) + 1);
      }
      for (const reply of answersOf(packet, replies)) await world.send('lan', segment(reply, true));
    }
  }
  t.diagnostic(`lscan: ${golden.sessions.length} sessions, ${compared} results compared`);
  for (const [reason, count] of seen) t.diagnostic(`differs on purpose, ${count}: ${reason}`);
  const results = golden.sessions.reduce((sum, { packets, rules }) => sum + packets.length * rules.length, 0);
  assert.ok(compared > 0);
  assert.equal(compared, results, 'of each rule for each packet');
});

/** Replies that belong to this packet; the recording has some of connections before. */
function answersOf(packet: string, replies: readonly string[]): readonly string[] {
  if (isStart(packet)) return replies.filter((reply) => reply === 'AS' || reply === 'AR').slice(0, 1);
  if (packet.startsWith('FA')) return replies.includes('AF') ? ['AF'] : [];
  return replies.filter((reply) => reply.startsWith('AP') || (reply === 'A' && packet.includes('bytes')));
}

const usageDifferences = {
  'without a protocol': takes(
    'lscan looks at TCP alone, whether the rule says so or not',
    (command) => command.protocol === undefined,
  ),
  'without a kind': refuses(
    'a rule that asks for no kind of scan would match nothing',
    ({ options }) => options.length === 0,
  ),
};

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, golden.usage, usageDifferences);
});
