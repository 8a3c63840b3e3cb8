import { setTimeout as sleep } from 'node:timers/promises';
import { hosts } from '../lab.js';
import type { Scenario } from './scenario.js';

const { attacker, client2, web } = hosts;

/** What packets have used of a quota is written down every ten seconds, what an account has counted every minute. */
const writtenMs = 65_000;

export const restart: Scenario = {
  name: 'restart',
  title: 'The firewall is killed and started again: bans and counters are there',
  async play({ lab, report }) {
    await lab.postern('table', 'add', 'spammer', attacker.v4, attacker.v6, '--timeout', '1h', '--comment', 'stays');
    const entries = async () => (await lab.postern('table', 'show', 'spammer')).split('\n').map(without).join(', ');
    const before = await entries();
    await lab.on('client2', 'curl', '-sS', '-o', '/dev/null', `http://${web.v4}/bytes/100000`);
    await sleep(writtenMs);
    const left = () => lab.postern('quota', 'show', 'guest');
    const leftBefore = await left();
    const counted = async () => {
      const lines = (await lab.postern('iptaccount', '-l', 'lan')).split('\n');
      return lines.find((line) => line.startsWith(`IP: ${client2.v4} `)) ?? 'nothing';
    };
    const countedBefore = await counted();

    const container = await lab.container('firewall');
    await lab.docker('kill', '--signal', 'KILL', container);
    report.row('http from remote, without a firewall', 'shut', await lab.opens('remote', web.v4, 80));
    await lab.docker('start', container);
    await lab.ready();

    report.row('the bans', before, await entries());
    report.row("what is left of the guest's quota", leftBefore, await left());
    report.row('what the account has counted of the guest', countedBefore, await counted());
    for (const version of ['v4', 'v6'] as const) {
      report.row(`http from attacker over ${version}`, 'shut', await lab.opens('attacker', web[version], 80));
      report.row(`http from remote over ${version}`, 'open', await lab.opens('remote', web[version], 80));
    }
    await lab.postern('table', 'delete', 'spammer', attacker.v4, attacker.v6);
    await lab.postern('quota', 'reset', 'guest');
  },
};

/** A line of `postern table show` without the time that is left, which passes. */
const without = (line: string): string => line.replace(/ +expires in .*? {2}by/, ' by');
