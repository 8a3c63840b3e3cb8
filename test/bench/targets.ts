/** What traps cost: packets a second through a veth pair, our rules beside nft's own, both in one run. */

import { deviceMacs, macChanges } from '../../src/engine/device-macs.js';
import { type ResponderSpec, responderDuty } from '../../src/extensions/responder.js';
import { openKernel } from '../../src/kernel/open.js';
import { openPackets } from '../../src/kernel/packets.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { encodePacket, FLAG_BIT } from '../../src/wire/packet.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { compiled, tcp, udp } from '../kernel/scratch-world.js';
import { type Bench, type BenchRow, median, timed } from './bench.js';

const packetsARun = 60_000;
const rounds = 5;

const limit = 'limit: off';
/** All on one host, told apart by the port. */
const traps = `version: 1
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 23, do: { tarpit: { ${limit} } } }
      - { tcp: 25, do: { delude: { ${limit} } } }
      - { tcp: 26, do: { chaos: { tarpit: true, ${limit} } } }
      - { udp: 7, do: { echo: { ${limit} } } }
`;
const behind = `version: 1
hygiene: off
chains:
  input:
    rules:
      - { tcp: 23, do: { tarpit: { ${limit} } } }
      - { tcp: 24, do: { tarpit: { mode: honeypot, ${limit} } } }
`;
const reject = `table inet postern {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 23 reject with tcp reset
  }
}
`;
/** The same policy with a reject in the place of the trap: both behind connection tracking. */
const rejectBehind = `version: 1
hygiene: off
chains:
  input:
    rules:
      - { tcp: 23, do: reject with tcp-reset }
`;
const counted = `table netdev postern {
  chain ing {
    type filter hook ingress device "wan" priority -500; policy accept;
    counter
  }
}
`;
const nothing = '';
const replies = { perSecond: 1_000_000, burst: 1_000_000 };

interface Place {
  readonly client: Namespace;
  readonly firewall: Namespace;
  readonly scope: { readonly ends: (() => Promise<void>)[] };
}

/** Loads a policy or nft text in a fresh pair of namespaces, and measures packets a second that it takes. */
async function rate(rules: string, packet: Buffer, daemon = false): Promise<{ offered: number; answered: number }> {
  const ends: (() => Promise<void>)[] = [];
  const scope = { after: (end: () => Promise<void>) => void ends.unshift(end) };
  try {
    const [client, firewall] = [await namespace(scope), await namespace(scope)];
    await link([client, 'out', '192.0.2.2/24'], [firewall, 'wan', '192.0.2.1/24']);
    await client.run('ping', '-c1', '192.0.2.1');
    if (rules.startsWith('version')) await loadPolicy(rules, firewall, ends, daemon);
    else if (rules !== nothing) await firewall.nft(rules);
    await client.nft(`table netdev t {
  chain answers {
    type filter hook ingress device "out" priority 0; policy accept;
    ip saddr 192.0.2.1 meta l4proto { tcp, udp } counter drop
  }
}
`);
    const sender = new RawSender(client.name);
    const ms = await timed(() => {
      for (let index = 0; index < packetsARun; index++) packet.copy(sender.slot(4, packet.length));
      sender.flush();
    });
    sender.close();
    if (daemon) await new Promise((resolve) => setTimeout(resolve, 500));
    const answered = Number(/packets (\d+)/.exec(await client.list())?.[1] ?? 0);
    return { offered: (packetsARun / ms) * 1000, answered };
  } finally {
    for (const end of ends) await end();
  }
}

async function loadPolicy(
  text: string,
  firewall: Namespace,
  ends: Place['scope']['ends'],
  daemon: boolean,
): Promise<void> {
  const plan = compiled(text);
  const kernel = await openKernel({ netns: firewall.name });
  ends.unshift(() => kernel.close());
  await kernel.load(plan, undefined);
  const { stdout } = await firewall.run('ip', '-j', 'link', 'show', 'wan');
  const mac = Buffer.from((JSON.parse(stdout) as { address: string }[])[0]!.address.replaceAll(':', ''), 'hex');
  for (const [set, { role }] of plan.manifest.sets.entries()) {
    if (role.kind === 'device-macs')
      await kernel.change(macChanges(set, deviceMacs(role, new Map([['wan', { mac }]]))));
  }
  const duty = plan.duties.find(({ kind }) => kind === responderDuty);
  if (!daemon || duty?.nflogGroup === undefined) return;
  const packets = openPackets({ namespace: firewall.name, event: () => {} });
  ends.unshift(() => packets.close());
  const module = new URL('../../src/services/responder/duty.js', import.meta.url).href;
  const { mark: replyMark } = duty.spec as ResponderSpec;
  const { nflogGroup: group } = duty;
  await packets.setDuties([{ name: responderDuty, group, module, spec: {}, copyBytes: 128, replyMark, replies }]);
}

const syn = (port: number) => encodePacket(tcp('192.0.2.2', '192.0.2.1', port, FLAG_BIT.SYN, 40_001));
const datagram = (port: number) => encodePacket(udp('192.0.2.2', '192.0.2.1', port, Buffer.alloc(18)));

/** Ours and the reference by turns, so that whatever else the machine does meets both. */
async function against(
  [ours, packet]: readonly [string, Buffer],
  [reference, other]: readonly [string, Buffer],
): Promise<{ ours: number; reference: number; ratio: number }> {
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const one = (await rate(ours, packet)).offered;
    const two = (await rate(reference, other)).offered;
    runs.push({ one, two, ratio: one / two });
  }
  return {
    ours: median(runs.map(({ one }) => one)),
    reference: median(runs.map(({ two }) => two)),
    ratio: median(runs.map(({ ratio }) => ratio)),
  };
}

const thousands = (perSecond: number): string => `${Math.round(perSecond / 1000)} k/s`;

async function row(
  work: string,
  ours: readonly [string, Buffer],
  reference: readonly [string, Buffer],
  name: string,
  least: number,
): Promise<BenchRow> {
  const measured = await against(ours, reference);
  return {
    work,
    ours: thousands(measured.ours),
    reference: `${name}: ${thousands(measured.reference)}`,
    ratio: measured.ratio,
    must: `≥ ${least} ×`,
    met: measured.ratio >= least,
  };
}

export const targetsBench: Bench = {
  name: 'targets',
  title: 'Traps: packets that a sender gets rid of, answers included (sender and receiver share the machine)',
  async *run() {
    const refused = [reject, syn(23)] as const;
    yield await row('SYN to SYN+ACK at ingress', [traps, syn(23)], refused, 'reject in input', 0.72);
    yield await row(
      'SYN to SYN+ACK by synproxy',
      [behind, syn(23)],
      [rejectBehind, syn(23)],
      'reject in its place',
      0.85,
    );
    yield await row('ECHO at ingress', [traps, datagram(7)], refused, 'reject in input', 1);
    yield await row(
      'a packet that meets no trap',
      [traps, datagram(9999)],
      [counted, datagram(9999)],
      'a counter',
      0.9,
    );
    const { answered, offered } = await rate(behind, syn(24), true);
    yield {
      work: 'answers of the responder',
      ours: `${answered} of ${packetsARun}, offered at ${thousands(offered)}`,
      must: '≥ 300 k/s',
      met: (answered / packetsARun) * offered >= 300_000,
    };
  },
};
