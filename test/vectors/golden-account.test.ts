/** ACCOUNT against the recorded module: the same packets, counted by our rules in a namespace, as iptaccount tells them. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { iptaccount } from '../../src/cli/iptaccount-program.js';
import type { AccountRow, Accounts } from '../../src/engine/accounts.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { encodePacket, FLAG_BIT, type Packet } from '../../src/wire/packet.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { link, namespace } from '../kernel/namespace.js';
import { tcp, udp } from '../kernel/scratch-world.js';
import { loadGolden } from './golden.js';

interface Golden {
  /** iptables-save while the packets came. */
  readonly saved: string;
  readonly sent: readonly {
    readonly src: string;
    readonly dst: string;
    readonly packets: number;
    readonly ip_total_length: number;
    readonly proto: 'udp' | 'tcp';
  }[];
  readonly cli: readonly { readonly cmd: string; readonly rc: number; readonly stdout: string }[];
}
const golden = loadGolden<Golden>('account');

/** Name and network of the tables, in their order. */
const tables = [...golden.saved.matchAll(/-A INPUT -j ACCOUNT --addr (\S+) +--tname (\S+)/g)].map(
  ([, network, name]) => ({ network: network!, name: name! }),
);
/** The readings before a table was emptied: those that tell of all packets. */
const readings = golden.cli.filter(({ cmd, rc }, index, all) => {
  const name = nameIn(cmd);
  const isKnown = tables.some((table) => table.name === name);
  const isEmptied = all.slice(0, index).some((before) => before.cmd.includes('-f') && nameIn(before.cmd) === name);
  return rc === 0 && isKnown && !isEmptied && /^iptaccount (-s )?-l \S+( -s)?$/.test(cmd);
});
function nameIn(cmd: string): string | undefined {
  return /-l (\S+)/.exec(cmd)?.[1];
}

const [client, firewall] = [await namespace({ after }), await namespace({ after })];
await link([client, 'out', '10.0.0.2/24'], [firewall, 'wan', '10.0.0.1/24']);
await client.run('ping', '-c1', '-W5', '10.0.0.1');
// Before the rules count; what the host would answer has nowhere to go.
const accounts = tables.map(({ name, network }) => `  ${name}: ${network}\n`).join('');
const actions = tables.map(({ name }) => `account ${name}`).join(', ');
const bench = await liveBench(
  { after },
  firewall,
  `version: 1\nhygiene: off\naccounts:\n${accounts}chains:\n  input:\n    rules:\n      - { in: wan, from: not 10.0.0.2, do: [ ${actions} ] }\n`,
);

function packetOf({ src, dst, ip_total_length: bytes, proto }: Golden['sent'][number]): Packet {
  if (proto === 'udp') return udp(src, dst, 4444, Buffer.alloc(bytes - 28));
  return { ...tcp(src, dst, 4444, FLAG_BIT.SYN), payload: new Uint8Array(bytes - 40) };
}

const lineOf = ({ address, source, destination }: AccountRow) => ({
  ip: formatAddress(address),
  sourcePackets: source.packets,
  sourceBytes: source.bytes,
  destinationPackets: destination.packets,
  destinationBytes: destination.bytes,
});

/** What our iptaccount prints of our accounts. */
async function printed(argv: readonly string[], from: Accounts): Promise<string> {
  let stdout = '';
  const kernel = {
    open: async () => {},
    handleUsage: async () => 0,
    freeHandles: async () => {},
    names: async () => tables.map(({ name }) => name),
    read: async (name: string) => (await from.read(name)).rows.map(lineOf),
  };
  const out = async (text: string): Promise<void> => {
    stdout += text;
  };
  const output = { out, err: () => {}, nextSecond: async () => false };
  await iptaccount(argv, kernel, output);
  return stdout;
}

test('ACCOUNT counts what the recorded module counted', async (t) => {
  const sender = new RawSender(client.name);
  for (const one of golden.sent) {
    assert.equal(parseAddress(one.dst).value, parseAddress('10.0.0.1').value, 'the address of the target');
    const bytes = encodePacket(packetOf(one));
    assert.equal(bytes.length, one.ip_total_length);
    for (let sent = 0; sent < one.packets; sent++) sender.queue(bytes);
  }
  sender.flush();
  sender.close();
  assert.ok(tables.length > 0 && readings.length > 0);
  for (const { cmd, stdout } of readings) {
    const argv = cmd.split(' ').slice(1);
    assert.equal(await printed(argv, bench.engine.accounts), stdout, cmd);
  }
  t.diagnostic(`compared ${readings.length} readings of ${tables.length} tables`);
});
