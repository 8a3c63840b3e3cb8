/** Can a scan tell that Postern is there? nmap looks at it and at a host that drops with plain rules. Needs root and nmap. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DaemonBed } from './daemon-bed.js';
import { link, type Namespace, namespace } from './namespace.js';

const bed = await DaemonBed.open(
  { after },
  `
version: 1
knocks:
  ssh: { ports: [4002, 4001, 4004], strict: true, time: 10s, autoclose: 1h }
  dns: { ports: [4011, 4010, 4008], strict: true, protocol: udp, time: 10s, autoclose: 1h }
  ftp: { spa: 4000, open_secret: { file: open }, close_secret: { file: close } }
  vpn: { spa2: 4003, clients: { file: clients }, reply: true }
sysrq: { port: 9, from: 198.51.100.77, password: { file: password }, keys: h, dry_run: true }
chains:
  input:
    policy: drop
    rules:
      - { state: [established, related], do: accept }
      - { tcp: 80, do: accept }
      - { tcp: 22, knock: ssh, do: accept }
      - { udp: 53, knock: dns, do: accept }
      - { tcp: 21, knock: ftp, do: accept }
      - { tcp: 23, knock: vpn, do: accept }
`,
);
for (const [name, text] of Object.entries({ open: 'o\n', close: 'c\n', password: 'p\n', clients: '{}' })) {
  writeFileSync(join(bed.folder, name), text, { mode: 0o600 });
}

/** A host that has nothing of ours. */
const plain = await namespace({ after });
await plain.nft(`
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    meta l4proto icmpv6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    tcp dport 80 tcp flags & (syn | ack) == syn accept
  }
}
`);

/** The same addresses on both, each before a scanner of its own. */
const hosts: readonly (readonly [name: string, host: Namespace])[] = [
  ['Postern', bed.space],
  ['plain rules', plain],
];
const scanners = new Map<string, Namespace>();
for (const [name, host] of hosts) {
  const scanner = await namespace({ after });
  scanners.set(name, scanner);
  await link(
    [scanner, 'eth0', '198.51.100.2/24', '2001:db8:1::2/64'],
    [host, 'wan0', '198.51.100.1/24', '2001:db8:1::1/64'],
  );
  for (const port of [21, 22, 23, 80]) {
    host.start('socat', [`TCP6-LISTEN:${port},ipv6only=0,fork,reuseaddr`, 'SYSTEM:true']);
  }
}
await bed.start();

const tcpPorts = '9,20-23,80,3998-4012';
const udpPorts = '9,53,3998-4012';
const scans: Readonly<Record<string, readonly string[]>> = {
  SYN: ['-sS', '-p', tcpPorts],
  ACK: ['-sA', '-p', tcpPorts],
  FIN: ['-sF', '-p', tcpPorts],
  'SYN over IPv6': ['-6', '-sS', '-p', tcpPorts],
  'UDP and UDP with data of a knock': ['-sU', '-p', udpPorts, '--data-length', '65'],
  'UDP over IPv6': ['-6', '-sU', '-p', udpPorts],
  'IP protocols': ['-sO', '-p', '1,6,17,58,132,136'],
};

/** What nmap says of the host: states of ports with their reasons, without times. */
async function scan(name: string, args: readonly string[]): Promise<string> {
  const target = args.includes('-6') ? '2001:db8:1::1' : '198.51.100.1';
  const how = ['-Pn', '-n', '-T5', '--max-retries', '1', '--max-rtt-timeout', '150ms', '--reason', '-v', '-oX', '-'];
  const { stdout } = await scanners.get(name)!.run('nmap', ...how, ...args, target);
  const ports = [...stdout.matchAll(/<port protocol="(\w+)" portid="(\d+)"><state state="([^"]+)" reason="([^"]+)"/g)];
  const others = [...stdout.matchAll(/<extrareasons reason="([^"]+)" count="(\d+)"/g)];
  assert.ok(ports.length + others.length > 0, stdout);
  return [...ports, ...others].map(([, ...words]) => words.join(' ')).join('\n');
}

test('nmap sees of a host with Postern what it sees of one with plain rules that drop', async (t) => {
  for (const [kind, args] of Object.entries(scans)) {
    const [ours, theirs] = await Promise.all(hosts.map(([name]) => scan(name, args)));
    assert.equal(ours, theirs, kind);
    t.diagnostic(`${kind}: ${ours!.replaceAll('\n', '; ')}`);
  }
});

test('a scan over the knock ports opens no door', async () => {
  assert.match((await bed.postern('knock', 'list')).out, /^KNOCK .*\n$/);
});
