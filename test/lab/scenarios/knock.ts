import { until } from '../docker.js';
import { type HostName, hosts, type Lab } from '../lab.js';
import type { Scenario, Stage } from './scenario.js';

/** `autoclose` of the lab's knocks is ten seconds. */
const longestOpenMs = 30_000;
const { web, firewall } = hosts;

const ssh = (lab: Lab, host: HostName, version: 'v4' | 'v6' = 'v4') => lab.opens(host, web[version], 22);

async function closes({ lab, report }: Stage, host: HostName): Promise<void> {
  const shut = async () => (await ssh(lab, host)) === 'shut';
  await until('the door closes', shut, longestOpenMs).catch(() => {});
  report.row(`ssh from ${host}, when its time has run out`, 'shut', await ssh(lab, host));
}

/** One source opens a door once a minute with a signed datagram: the second would be the same as the first. */
async function freshMinute(lab: Lab): Promise<void> {
  const last = Number((await lab.tries('remote', 'cat', '/tmp/last-knock')).output);
  const minute = () => Math.floor(Date.now() / 60_000);
  await until('a minute without a knock', async () => minute() !== last, 70_000);
  await lab.on('remote', 'sh', '-c', `echo ${minute()} > /tmp/last-knock`);
}

export const knock: Scenario = {
  name: 'knock',
  title: 'A knock and a signed datagram each open ssh for who sent it alone, and it closes again',
  async play(stage) {
    const { lab, report } = stage;
    report.row('ssh from attacker, before', 'shut', await ssh(lab, 'attacker'));
    report.row('ssh from remote, before', 'shut', await ssh(lab, 'remote'));

    const wrong = ['--ports', '4001,4002,4004'];
    await lab.on('attacker', 'postern', 'knock', 'send', firewall.outside, ...wrong);
    report.row('ssh from attacker, after a knock in the wrong order', 'shut', await ssh(lab, 'attacker'));
    const right = ['--ports', '4002,4001,4004'];
    await lab.on('attacker', 'postern', 'knock', 'send', firewall.outside, ...right);
    report.row('ssh from attacker, after the knock', 'open', await ssh(lab, 'attacker'));
    report.row('ssh from remote meanwhile', 'shut', await ssh(lab, 'remote'));
    await closes(stage, 'attacker');
    await lab.on('attacker', 'postern', 'knock', 'send', firewall.outside6, ...right);
    report.row('ssh from attacker over IPv6, after the knock over IPv6', 'open', await ssh(lab, 'attacker', 'v6'));

    await freshMinute(lab);
    const spa = ['--spa', '4000', '--secret-file'];
    await lab.on('remote', 'sh', '-c', 'echo not the secret > /tmp/wrong');
    await lab.on('remote', 'postern', 'knock', 'send', firewall.outside, ...spa, '/tmp/wrong');
    report.row('ssh from remote, after a datagram with another secret', 'shut', await ssh(lab, 'remote'));
    await lab.on('remote', 'postern', 'knock', 'send', firewall.outside, ...spa, '/keys/admin.open');
    report.row('ssh from remote, after the signed datagram', 'open', await ssh(lab, 'remote'));
    report.row('ssh from attacker meanwhile', 'shut', await ssh(lab, 'attacker'));
    report.output('postern knock list', await lab.postern('knock', 'list'));
    await closes(stage, 'remote');
  },
};
