/** LOGMARK's lines against those of the recorded module: packets through namespaces, rules, copies, conntrack. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compilePolicy } from '../../src/compiler/compile.js';
import { logmarkBytes, logmarkDuty } from '../../src/extensions/logmark.js';
import { logmarkLine } from '../../src/extensions/models/logmark.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { FlowLookup } from '../../src/kernel/flow-lookup.js';
import { openKernel } from '../../src/kernel/open.js';
import { openPackets } from '../../src/kernel/packets.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { parsePolicy } from '../../src/policy/parse.js';
import type { MarkedCopy } from '../../src/services/logmark/duty.js';
import { type LeveledRecord, recordOf } from '../../src/services/logmark/record.js';
import { encodePacket, FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { forward, link, namespace, until } from '../kernel/namespace.js';
import { compiled, ping, tcp, udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';
import { replayUsage, type UsageRow } from './usage.js';

interface Row {
  readonly label: string;
  readonly rules: readonly string[];
  readonly rc: readonly number[];
  /** Pieces of lines, each with the `<4>` of its record before it. */
  readonly kmsg_text: readonly string[];
}
const { rows, usage } = loadGolden<{ readonly rows: readonly Row[]; readonly usage: readonly UsageRow[] }>('logmark');

const [client, firewall, inside] = [await namespace({ after }), await namespace({ after }), await namespace({ after })];
const local = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
const stranger = { 4: '192.0.2.2', 6: '2001:db8::2' } as const;
const routed = { 4: '198.51.100.77', 6: '2001:db8:1::77' } as const;
await link(
  [client, 'out', `${stranger[4]}/24`, `${stranger[6]}/64`],
  [firewall, 'wan', `${local[4]}/24`, `${local[6]}/64`],
);
await link(
  [firewall, 'lan', '198.51.100.1/24', '2001:db8:1::1/64'],
  [inside, 'in', `${routed[4]}/24`, `${routed[6]}/64`],
);
await forward(firewall);
await client.run('ip', 'route', 'add', '198.51.100.0/24', 'via', local[4]);
await client.run('ip', '-6', 'route', 'add', '2001:db8:1::/64', 'via', local[6]);
await inside.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
await inside.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1');
for (const address of [local[4], local[6]]) await client.run('ping', '-c1', '-W5', address);
const { stdout: links } = await firewall.run('ip', '-j', 'link');
const indexes = new Map(
  (JSON.parse(links) as { ifname: string; ifindex: number }[]).map((one) => [one.ifname, one.ifindex]),
);
/** Of the recorded devices. */
const deviceOf: Readonly<Record<string, number>> = { 0: 0, 3: indexes.get('wan')!, 5: indexes.get('lan')! };

const kernel = await openKernel({ netns: firewall.name });
after(() => kernel.close());
const records: LeveledRecord[] = [];
const flows = new FlowLookup(firewall.name);
after(() => flows.close());
const packets = openPackets({
  namespace: firewall.name,
  event: (_, event) => {
    const record = recordOf(event as MarkedCopy, (protocol, tuple) => flows.find(protocol, tuple));
    if (record !== undefined) records.push(record);
  },
});
after(() => packets.close());

const option = (rule: string, name: string): string | undefined => {
  const [, quoted, bare] = new RegExp(`--${name} (?:"([^"]*)"|(\\S+))`).exec(rule) ?? [];
  return quoted ?? bare;
};
const chainOf = (rule: string): string => (/-A (\S+)/.exec(rule)?.[1] ?? 'INPUT').toLowerCase();
const protocolOf = (rule: string): string | undefined => /-p (\S+)/.exec(rule)?.[1];

/** What the rule does, in our words. */
function actionOf(rule: string): string {
  const mark = option(rule, 'set-mark');
  if (mark !== undefined) return rule.includes('-j CONNMARK') ? `mark connection ${mark}` : `mark ${mark}`;
  const [prefix, level] = [option(rule, 'log-prefix'), option(rule, 'log-level')];
  const options = [
    ...(prefix === undefined ? [] : [`prefix: ${JSON.stringify(prefix)}`]),
    ...(level === undefined ? [] : [`level: ${level}`]),
  ];
  return options.length === 0 ? 'logmark' : `{ logmark: { ${options.join(', ')} } }`;
}

/** The policy of a row; where the module ran without conntrack, packets are left untracked. */
function policyOf(rules: readonly string[], tracked: boolean, family: 4 | 6 = 4): string {
  const chains = new Map<string, string[]>();
  const add = (chain: string, rule: string) => chains.set(chain, [...(chains.get(chain) ?? []), `      - ${rule}\n`]);
  if (!tracked) for (const chain of ['prerouting', 'output']) add(chain, '{ do: notrack }');
  for (const rule of rules) {
    const protocol = protocolOf(rule);
    const match = protocol === undefined ? '' : `proto: ${protocol}, `;
    add(chainOf(rule), `{ family: ipv${family}, ${match}do: ${actionOf(rule)} }`);
  }
  const filters = ['input', 'forward', 'output'];
  for (const chain of filters) if (chains.has(chain)) add(chain, '{ state: [established, related], do: accept }');
  const written = [...chains].map(([name, list]) => `  ${name}:\n    rules:\n${list.join('')}`);
  return `version: 1\nhygiene: off\nchains:\n${written.join('')}`;
}

interface Line {
  readonly level: number;
  readonly text: string;
}

/** The recorded pieces put together: `<4>` before each record, `<LEVEL>` at the beginning of each line. */
function linesOf({ kmsg_text: pieces }: Row): Line[] {
  const lines: { level: number; text: string }[] = [];
  for (const piece of pieces) {
    const text = piece.replace(/^<4>/, '');
    const begin = /^<([0-7])>(.*)$/.exec(text);
    if (begin !== null) lines.push({ level: Number(begin[1]), text: begin[2]! });
    else lines.at(-1)!.text += text;
  }
  return lines;
}

const differences = {
  'entries of conntrack': 'ct= and lifetime= are other numbers on another machine; that they are there is compared',
  'connections that are over':
    'the reset that answers a SYN ends the connection: its lifetime can not be read any more',
  'longer prefixes': 'the manual promises 29 characters, the original refuses more than 14',
} as const;
const seen = new Map<keyof typeof differences, number>();
const differing = (name: keyof typeof differences): void => void seen.set(name, (seen.get(name) ?? 0) + 1);

/** The recorded line as it reads here. */
function expected({ level, text }: Line, isOver: boolean): Line {
  let wanted = text.replace(/iif=(\d+)/, (_, device: string) => `iif=${deviceOf[device]}`);
  if (/ct=0x|lifetime=/.test(wanted)) {
    differing('entries of conntrack');
    wanted = withoutEntry(wanted);
  }
  if (isOver) {
    differing('connections that are over');
    wanted = wanted.replace(' lifetime=TIME', '');
  }
  return { level, text: wanted };
}
const withoutEntry = (text: string): string =>
  text.replace(/ct=0x[1-9a-f][0-9a-f]*|ct=0x0+[1-9a-f][0-9a-f]*/, 'ct=ENTRY').replace(/lifetime=\d+s/, 'lifetime=TIME');

/** What was sent: a packet of the protocol that the rules are about, once for each line of its hook. */
function sentFor({ label, rules }: Row, lines: readonly Line[], family: 4 | 6): Packet[] {
  const isRouted = rules.some((rule) => chainOf(rule) === 'forward');
  const destination = isRouted ? routed[family] : local[family];
  const [first] = rules.flatMap((rule) => protocolOf(rule) ?? []);
  const entered = lines.filter(({ text }) => text.includes(`hook=${isRouted ? 'PREROUTING' : 'INPUT'} `)).length;
  const segment = () => {
    // No connection begins with both.
    const flags = label === 'invalid' ? FLAG_BIT.FIN | FLAG_BIT.SYN : FLAG_BIT.SYN;
    return tcp(stranger[family], destination, 4444, flags);
  };
  const makers: Readonly<Record<string, () => Packet>> = {
    icmp: () => ping(stranger[family], destination),
    udp: () => udp(stranger[family], destination, 4444),
  };
  const packet = (makers[first ?? ''] ?? segment)();
  return Array.from({ length: Math.max(1, entered) }, () => packet);
}

const compiles = (policy: string): boolean => {
  const { policy: read } = parsePolicy(policy, { file: 'golden.yaml', vocabulary });
  return read !== undefined && compilePolicy(read).plan !== undefined;
};

async function run(row: Row): Promise<void> {
  const lines = linesOf(row);
  const isInvalid = row.label === 'invalid';
  const family = row.label.includes('ip6') ? 6 : 4;
  const tracked = isInvalid || lines.some(({ text }) => !text.includes('ct=NULL'));
  const policy = policyOf(row.rules, tracked, family);
  const plan = compiled(policy);
  const { nflogGroup } = plan.duties.find(({ kind }) => kind === logmarkDuty)!;
  await packets.setDuties([]);
  await kernel.load(plan, undefined);
  const module = new URL('../../src/services/logmark/duty.js', import.meta.url).href;
  await packets.setDuties([{ name: logmarkDuty, group: nflogGroup!, module, spec: {}, copyBytes: logmarkBytes }]);
  records.length = 0;
  const isRefused =
    lines.some(({ text }) => text.includes('hook=OUTPUT')) && row.rules.every((rule) => protocolOf(rule) === 'tcp');
  const wanted = lines.map((line) => expected(line, isRefused));
  const sender = new RawSender(client.name);
  for (const packet of sentFor(row, lines, family)) {
    const bytes = encodePacket(packet);
    const before = records.length;
    sender.queue(bytes);
    sender.flush();
    await until(`${row.label}: a line`, () => records.length > before, 10_000);
  }
  sender.close();
  await until(`${row.label}: ${wanted.length} lines`, () => records.length >= wanted.length, 10_000);
  const found = records.map((record) => ({ level: record.level, text: withoutEntry(logmarkLine(record)) }));
  assert.deepEqual(found, wanted, row.label);
}

/** A prefix that the original refuses against its manual. */
function isPromised(rule: string): boolean {
  const { length } = option(rule, 'log-prefix') ?? '';
  return length > 14 && length <= 29;
}

test('LOGMARK writes the lines that the recorded module wrote', async (t) => {
  let compared = 0;
  for (const row of rows) {
    compared++;
    if (row.rc.every((code) => code === 0)) await run(row);
    else if (row.rules.some(isPromised)) {
      differing('longer prefixes');
      assert.equal(compiles(policyOf(row.rules, true)), true, row.label);
    } else assert.equal(compiles(policyOf(row.rules, true)), false, row.label);
  }
  assert.ok(compared > 0);
  t.diagnostic(`compared ${compared}, ${[...seen].map(([name, count]) => `${name}: ${count}`).join(', ')}`);
  for (const name of seen.keys()) t.diagnostic(`${name}: ${differences[name]}`);
});

test('commands that the recorded module took are taken, and those that it refused are refused', (t) => {
  replayUsage(t, usage);
});
