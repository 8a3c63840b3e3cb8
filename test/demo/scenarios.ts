/** What the demo shows, one function a heading. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from './daemon.js';
import { type Host, hosts, type Network } from './network.js';
import type { Report } from './report.js';

export interface Stage {
  readonly network: Network;
  readonly daemon: Daemon;
  readonly report: Report;
}

/** Time for what was sent to arrive; nothing on the way queues. */
const settleMs = 100;
const answerWithinMs = 800;
/** Of `spammer` in rules/demo.yaml. */
const banMs = 3_000;

const ipv4Overhead = 28;
const ipv6Overhead = 48;

interface Burst {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly bytes: number;
}

const dataPort = 5004;

/** Sends datagrams and answers how many of them arrived. */
async function burst(sender: Host, receiver: Host, { from, to, count, bytes }: Burst): Promise<number> {
  const target = { address: to, port: dataPort };
  const before = (await receiver.ask({ op: 'received', ...target })).received!;
  await sender.ask({ op: 'send', from, to, port: dataPort, count, bytes });
  await sleep(settleMs);
  return (await receiver.ask({ op: 'received', ...target })).received! - before;
}

const sent = {
  clientA4: { from: hosts.clientA.v4, to: hosts.visitor.v4, count: 7, bytes: 100 },
  clientA6: { from: hosts.clientA.v6, to: hosts.visitor.v6, count: 5, bytes: 200 },
  clientB4: { from: hosts.clientB.v4, to: hosts.visitor.v4, count: 3, bytes: 1000 },
  visitor4: { from: hosts.visitor.v4, to: hosts.server.v4, count: 4, bytes: 50 },
  visitor6: { from: hosts.visitor.v6, to: hosts.server.v6, count: 2, bytes: 60 },
} as const;

async function passing({ network: { outside, lan }, report }: Stage): Promise<void> {
  for (const address of [hosts.visitor.v4, hosts.visitor.v6])
    await outside.ask({ op: 'count', address, port: dataPort });
  for (const address of [hosts.server.v4, hosts.server.v6]) {
    await lan.ask({ op: 'count', address, port: dataPort });
    for (const port of [443, 22]) await lan.ask({ op: 'serve', address, port });
  }

  report.heading('Traffic through the firewall');
  const bursts = [
    ['lan client A to outside, IPv4', lan, outside, sent.clientA4],
    ['lan client A to outside, IPv6', lan, outside, sent.clientA6],
    ['lan client B to outside, IPv4', lan, outside, sent.clientB4],
    ['outside to the server, IPv4', outside, lan, sent.visitor4],
    ['outside to the server, IPv6', outside, lan, sent.visitor6],
  ] as const;
  for (const [what, sender, receiver, one] of bursts) {
    report.row(`${what}: datagrams that arrive`, one.count, await burst(sender, receiver, one));
  }
  for (const version of ['v4', 'v6'] as const) {
    const [from, to] = [hosts.visitor[version], hosts.server[version]];
    const family = version === 'v4' ? 'IPv4' : 'IPv6';
    const https = await outside.ask({ op: 'connect', from, to, port: 443, withinMs: answerWithinMs });
    report.row(`outside to the server, https over ${family}`, 'open', https.connected!);
    const ssh = await outside.ask({ op: 'connect', from, to, port: 22, withinMs: answerWithinMs });
    report.row(`outside to the server, ssh over ${family}`, 'no answer', ssh.connected!);
  }
}

async function accounting({ daemon, report }: Stage): Promise<void> {
  report.heading('Account sales, per address');
  const output = await daemon.postern('iptaccount', '-l', 'sales');
  const { clientA4, clientA6, clientB4 } = sent;
  const lines = [
    [clientA4, ipv4Overhead],
    [clientA6, ipv6Overhead],
    [clientB4, ipv4Overhead],
  ] as const;
  for (const [{ from, count, bytes }, overhead] of lines) {
    const expected = `${count} packets, ${count * (bytes + overhead)} bytes`;
    const found = output.split('\n').find((line) => line.startsWith(`IP: ${from} `));
    const counted = /SRC packets: (\d+) bytes: (\d+)/.exec(found ?? '');
    report.row(`sent by ${from}`, expected, counted ? `${counted[1]} packets, ${counted[2]} bytes` : 'not listed');
  }
  report.output('postern iptaccount -l sales', output);
}

/** Passes before a ban, is dropped under it, passes again when its time has run out. */
async function ban({ network: { outside, lan }, report }: Stage, version: 'v4' | 'v6', set: () => Promise<unknown>) {
  const one: Burst = { from: hosts.spammer[version], to: hosts.server[version], count: 5, bytes: 64 };
  report.row(`${one.from} to the server, before: datagrams that arrive`, one.count, await burst(outside, lan, one));
  await set();
  await sleep(settleMs);
  report.row('   while it is banned', 0, await burst(outside, lan, one));
  const visitor: Burst = { ...one, from: hosts.visitor[version] };
  report.row('   somebody else meanwhile', visitor.count, await burst(outside, lan, visitor));
  await sleep(banMs);
  report.row('   when its time has run out', one.count, await burst(outside, lan, one));
}

async function pftabled(stage: Stage): Promise<void> {
  const { daemon, network, report } = stage;
  report.heading('A ban by a signed pftabled datagram');
  const request = [hosts.firewall.v4, '56789', 'spammer', 'add', hosts.spammer.v4];
  const { program } = await import('./daemon.js');
  await ban(stage, 'v4', () =>
    network.outside.namespace.run(process.execPath, program, 'pftabled', 'send', '-k', daemon.key, ...request),
  );
  report.output(`postern pftabled send -k KEY ${request.join(' ')}`, '(says nothing when it was sent)');
}

async function rest(stage: Stage): Promise<void> {
  const { daemon, report } = stage;
  report.heading('A ban by REST');
  const entry = { address: hosts.spammer.v6, timeout: `${banMs / 1000}s`, comment: 'demo' };
  let answer = '';
  await ban(stage, 'v6', async () => {
    answer = await daemon.http('POST', '/v1/tables/spammer/entries', [entry]);
  });
  report.output(
    `curl --unix-socket SOCKET --json '${JSON.stringify([entry])}' http://postern/v1/tables/spammer/entries`,
    answer,
  );
}

async function metrics({ daemon, report }: Stage): Promise<void> {
  report.heading('Metrics');
  const text = await daemon.http('GET', '/metrics');
  const { from, count, bytes } = sent.clientB4;
  const series = `postern_account_bytes_total{account="sales",ip="${from}",direction="source"}`;
  const value = text.split('\n').find((line) => line.startsWith(`${series} `));
  report.row(series, count * (bytes + ipv4Overhead), value?.slice(series.length + 1) ?? 'not there');
  const interesting = /^postern_(account_packets_total|table_changes|table_expired|pftabled_)/;
  const shown = text.split('\n').filter((line) => interesting.test(line) && !line.endsWith(' 0'));
  report.output('curl --unix-socket SOCKET http://postern/metrics', shown.slice(0, 16).join('\n'));
}

export const scenarios: readonly ((stage: Stage) => Promise<void>)[] = [passing, accounting, pftabled, rest, metrics];
