/** What traps cost: a packet's way through our rules with its answer, beside nft's own rules, both in one run. */

import { deviceMacs, macChanges } from '../../src/engine/device-macs.js';
import { FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { compiled, tcp, udp } from '../kernel/scratch-world.js';
import { type Bench, type BenchRow, median } from './bench.js';
import { onRoad, packetUs, type Road, roadEnds } from './road.js';

const rounds = 7;

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
/** With a rule that keeps the chain in `inet`: traps answer from a second one. */
const trapsBehindTable = `${traps.replace('version: 1', 'version: 1\ntables: { friends: {} }')}      - { from: <friends>, do: drop }
`;
const behind = `version: 1
hygiene: off
chains:
  input:
    rules:
      - { tcp: 23, do: { tarpit: { ${limit} } } }
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
/** Answers of both protocols stop where they arrive. */
const answersEnd = `table netdev t {
  chain answers {
    type filter hook ingress device "out" priority 0; policy accept;
    ip saddr ${roadEnds.firewall} meta l4proto { tcp, udp } counter drop
  }
}
`;
/** Of the senders that the packets come from: a network behind the client. */
const senders = { network: '198.18.0.0/24', first: '198.18.0.0', sources: { addresses: 256, ports: 1_024 } } as const;

/** Rules with the packet that is sent at them. */
interface Way {
  readonly rules: string;
  readonly packet: Packet;
}

/** Runs `work` over two roads, the first of which leads into our rules, the second into the others. */
const onBoth = <T>(ours: Way, reference: Way, work: (ours: () => number, reference: () => number) => T): Promise<T> =>
  along(ours, (one) => along(reference, async (two) => work(one, two)));

function along<T>({ rules, packet }: Way, work: (us: () => number) => Promise<T>): Promise<T> {
  return onRoad(async (road) => {
    await road.firewall.run('ip', 'route', 'add', senders.network, 'via', roadEnds.client);
    if (rules.startsWith('version')) await loadPolicy(rules, road);
    else await road.firewall.nft(rules);
    await road.client.nft(answersEnd);
    return work(() => packetUs(road, packet, senders.sources));
  });
}

async function loadPolicy(text: string, { firewall, kernel }: Road): Promise<void> {
  const plan = compiled(text);
  await kernel.load(plan, undefined);
  const { stdout } = await firewall.run('ip', '-j', 'link', 'show', 'wan');
  const mac = Buffer.from((JSON.parse(stdout) as { address: string }[])[0]!.address.replaceAll(':', ''), 'hex');
  for (const [set, { role }] of plan.manifest.sets.entries()) {
    if (role.kind === 'device-macs')
      await kernel.change(macChanges(set, deviceMacs(role, new Map([['wan', { mac }]]))));
  }
}

const syn = (port: number): Packet => tcp(senders.first, roadEnds.firewall, port, FLAG_BIT.SYN, 40_000);
const datagram = (port: number): Packet => udp(senders.first, roadEnds.firewall, port, Buffer.alloc(18));

interface Row {
  readonly work: string;
  readonly ours: Way;
  readonly reference: Way;
  readonly name: string;
  readonly least: number;
}

/** By turns, so that whatever else the machine does meets both. */
async function measured({ work, ours, reference, name, least }: Row): Promise<BenchRow> {
  const runs = await onBoth(ours, reference, (one, two) =>
    Array.from({ length: rounds }, () => [one(), two()] as const),
  );
  const ratio = median(runs.map(([one, two]) => two / one));
  const us = (side: 0 | 1): string => `${median(runs.map((run) => run[side])).toFixed(2)} µs`;
  return { work, ours: us(0), reference: `${name}: ${us(1)}`, ratio, must: `≥ ${least} ×`, met: ratio >= least };
}

const refused: Way = { rules: reject, packet: syn(23) };

const rows: readonly Row[] = [
  {
    work: 'SYN to SYN+ACK at ingress',
    ours: { rules: traps, packet: syn(23) },
    reference: refused,
    name: 'reject in input',
    least: 0.72,
  },
  {
    work: 'the same in a chain that looks into a table',
    ours: { rules: trapsBehindTable, packet: syn(23) },
    reference: refused,
    name: 'reject in input',
    least: 0.72,
  },
  {
    work: 'SYN to SYN+ACK by synproxy',
    ours: { rules: behind, packet: syn(23) },
    reference: { rules: rejectBehind, packet: syn(23) },
    name: 'reject in its place',
    least: 0.85,
  },
  {
    work: 'ECHO at ingress',
    ours: { rules: traps, packet: datagram(7) },
    reference: refused,
    name: 'reject in input',
    least: 1,
  },
  {
    work: 'a packet that meets no trap',
    ours: { rules: traps, packet: datagram(9_999) },
    reference: { rules: counted, packet: datagram(9_999) },
    name: 'a counter',
    least: 0.9,
  },
];

export const targetsBench: Bench = {
  name: 'targets',
  title: 'Traps: the way of a packet through the rules, and of its answer out over a link',
  async *run() {
    for (const row of rows) yield await measured(row);
  },
};
