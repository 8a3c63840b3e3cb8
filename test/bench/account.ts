/**
 * What counting per address costs a packet: datagrams of 256 sources over a veth pair into a namespace that drops them,
 * with nothing to do but a counter, with an account of ours, with hand-written nft sets, and with ipset by iptables.
 * The receiver's rules run in the sender's time, so its rate tells their cost.
 */

import { execa } from 'execa';
import { compileText } from '../../src/cli/policy-file.js';
import { withEntries } from '../../src/compiler/entries.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { parseAddress } from '../../src/net/address.js';
import { renderRuleset } from '../../src/nft/render.js';
import { encodePacket } from '../../src/wire/packet.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { type Bench, type BenchRow, median } from './bench.js';
import { inScope } from './world.js';

const packets = 200_000;
const sources = 256;
const rounds = 5;
const target = '198.51.100.1';

/** Loads rules into the receiving namespace. */
type Load = (space: Namespace) => Promise<void>;

const baseline = `table inet base { chain in { type filter hook prerouting priority -140; counter; }; }
`;
const drop = `table inet last { chain in { type filter hook prerouting priority 100; drop; }; }
`;
const handwritten = `table inet hand {
  set src { type ipv4_addr; size 65536; flags dynamic; }
  chain in { type filter hook prerouting priority -150
    ip saddr 198.18.0.0/16 update @src { ip saddr counter }
  }
}
`;
const policy = `version: 1
accounts: { sales: 198.18.0.0/16 }
chains: { prerouting: { rules: [ { do: account sales } ] } }
`;

const forms: Readonly<Record<string, Load>> = {
  counter: (space) => space.nft(baseline + drop),
  account: (space) =>
    space.nft(renderRuleset(withEntries(compileText({ file: 'bench.yaml', text: policy }).plan)) + drop),
  nft: (space) => space.nft(handwritten + drop),
  ipset: async (space) => {
    const members = addresses().map((address) => `add acc ${address}`);
    await execa('nsenter', [`--net=/run/netns/${space.name}`, '--', 'ipset', 'restore'], {
      input: `create acc hash:ip counters\n${members.join('\n')}\n`,
    });
    await space.run('iptables-nft', '-t', 'raw', '-A', 'PREROUTING', '-m', 'set', '--match-set', 'acc', 'src');
    await space.nft(drop);
  },
};

function addresses(): string[] {
  return Array.from({ length: sources }, (_, n) => `198.18.0.${n}`);
}

/** Nanoseconds a packet takes with these rules. */
async function cost(load: Load): Promise<number> {
  return inScope(async (scope) => {
    const [sender, receiver] = [await namespace(scope), await namespace(scope)];
    await link([sender, 'out0', '198.51.100.2/24'], [receiver, 'in0', `${target}/24`]);
    await load(receiver);
    await sender.run('ping', '-c1', '-W1', target).catch(() => undefined);
    const datagrams = addresses().map((address) =>
      encodePacket({
        source: parseAddress(address),
        destination: parseAddress(target),
        protocol: 17,
        udp: { sourcePort: 9, destinationPort: 9 },
        payload: new Uint8Array(32),
      }),
    );
    const raw = new RawSender(sender.name);
    try {
      send(raw, datagrams, packets / 10);
      const times = Array.from({ length: rounds }, () => {
        const start = process.hrtime.bigint();
        send(raw, datagrams, packets);
        return Number(process.hrtime.bigint() - start) / packets;
      });
      if (raw.counts.failed > 0) throw new Error(`${raw.counts.failed} packets were not sent`);
      return median(times);
    } finally {
      raw.close();
    }
  });
}

function send(raw: RawSender, datagrams: readonly Buffer[], count: number): void {
  for (let sent = 0; sent < count; sent += 1) {
    const datagram = datagrams[sent % datagrams.length]!;
    raw.queue(datagram);
  }
  raw.flush();
}

export const accountBench: Bench = {
  name: 'account',
  title: `Counting per address: ${sources} sources, whole way of a packet`,
  async *run() {
    const costs = new Map<string, number>();
    for (const [name, load] of Object.entries(forms)) costs.set(name, await cost(load));
    const [base, own] = [costs.get('counter')!, costs.get('account')!];
    yield row('account, against a bare counter', own, 'counter', base);
    yield row('account, against nft sets by hand', own, 'nft', costs.get('nft')!);
    yield row('account, against ipset with counters', own, 'ipset', costs.get('ipset')!);
  },
};

function row(work: string, own: number, name: string, other: number): BenchRow {
  return { work, ours: `${own.toFixed(0)} ns`, reference: `${name}: ${other.toFixed(0)} ns`, ratio: other / own };
}
