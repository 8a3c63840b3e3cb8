import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../docker.js';
import { hosts, type Lab } from '../lab.js';
import type { Scenario } from './scenario.js';

const pings = 5;
const pingBytes = 100;
/** Of ICMP and IP, for each ping. */
const overhead = { v4: 28, v6: 48 } as const;
/** Small beside the guest's quota. */
const pageBytes = 20_000;
/** The firewall reads its counters again after two seconds, and Prometheus asks every two. */
const metricsAgeMs = 5_000;

interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}
type Direction = 'source' | 'destination';

/** What was counted, by direction and address. */
type Counted = Record<Direction, Map<string, Traffic>>;

/** Reads `iptaccount`, as people do. */
async function accounted(lab: Lab, ...flags: string[]): Promise<Counted> {
  const counted: Counted = { source: new Map(), destination: new Map() };
  const output = await lab.on('firewall', 'iptaccount', ...flags, '-l', 'lan');
  const row = /^IP: (\S+) SRC packets: (\d+) bytes: (\d+) DST packets: (\d+) bytes: (\d+)$/gm;
  for (const [, ip, ...numbers] of output.matchAll(row)) {
    const [sent, sentBytes, received, receivedBytes] = numbers.map(Number) as [number, number, number, number];
    counted.source.set(ip!, { packets: sent, bytes: sentBytes });
    counted.destination.set(ip!, { packets: received, bytes: receivedBytes });
  }
  return counted;
}

/** What Prometheus has of a direction. Totals only grow: the difference of two readings is what came in between. */
async function scraped(lab: Lab, direction: Direction): Promise<Map<string, Traffic>> {
  const query = (unit: string) => `postern_account_${unit}_total{account="lan",direction="${direction}"}`;
  const [packets, bytes] = [await lab.prometheus(query('packets'), 'ip'), await lab.prometheus(query('bytes'), 'ip')];
  return new Map([...packets].map(([ip, count]) => [ip, { packets: count, bytes: bytes.get(ip) ?? 0 }]));
}

const written = (traffic: Traffic | undefined): string =>
  traffic === undefined ? 'nothing' : `${traffic.packets} packets, ${traffic.bytes} bytes`;

const nothing: Traffic = { packets: 0, bytes: 0 };

function grown(before: Traffic = nothing, now: Traffic = nothing): Traffic {
  return { packets: now.packets - before.packets, bytes: now.bytes - before.bytes };
}

export const accounting: Scenario = {
  name: 'accounting',
  title: 'Traffic of the LAN is counted by address; iptaccount and Prometheus agree with what was sent',
  async play({ lab, report }) {
    // What was counted before is gone from iptaccount, and stays in the totals.
    await accounted(lab, '-f');
    await sleep(metricsAgeMs);
    const before = { source: await scraped(lab, 'source'), destination: await scraped(lab, 'destination') };

    for (const version of ['v4', 'v6'] as const) {
      await lab.on('client1', 'ping', '-c', `${pings}`, '-i', '0.2', '-s', `${pingBytes}`, hosts.web[version]);
      await lab.on('client2', 'curl', '-sS', '-g', '-o', '/dev/null', pageUrl(hosts.web[version]));
    }
    const counted = await accounted(lab);

    for (const version of ['v4', 'v6'] as const) {
      const expected = written({ packets: pings, bytes: pings * (pingBytes + overhead[version]) });
      const { [version]: ip } = hosts.client1;
      report.row(`client1 pings the web server: sent by ${ip}`, expected, written(counted.source.get(ip)));
      report.row(`   received by ${ip}`, expected, written(counted.destination.get(ip)));
      const page = counted.destination.get(hosts.client2[version])?.bytes ?? 0;
      const isPage = page > pageBytes && page < pageBytes * 1.1;
      report.row(
        `client2 fetches ${pageBytes} bytes over ${version}`,
        'them and their headers',
        isPage ? 'them and their headers' : `${page} bytes`,
      );
    }

    const agree = async () => (await disagreements(lab, before)).length === 0;
    await until('Prometheus has it all', agree, 20_000).catch(() => {});
    const what = 'Prometheus and iptaccount, each address and direction';
    report.row(what, 'agree', (await disagreements(lab, before)).join('; ') || 'agree');
    report.output('iptaccount -l lan', await lab.on('firewall', 'iptaccount', '-l', 'lan'));
  },
};

function pageUrl(address: string): string {
  return `http://${address.includes(':') ? `[${address}]` : address}/bytes/${pageBytes}`;
}

async function disagreements(lab: Lab, before: Counted): Promise<string[]> {
  const found: string[] = [];
  const counted = await accounted(lab);
  for (const direction of ['source', 'destination'] as const) {
    const now = await scraped(lab, direction);
    for (const [ip, traffic] of counted[direction]) {
      const [here, there] = [written(traffic), written(grown(before[direction].get(ip), now.get(ip)))];
      if (here !== there) found.push(`${ip} ${direction}: ${here} against ${there}`);
    }
  }
  return found;
}
