import { type HostName, hosts, type Lab } from '../lab.js';
import type { Scenario } from './scenario.js';

const { attacker, firewall } = hosts;
const ports = 20;
/** The firewall has none of these ports. */
const target = ['-p', `21-${20 + ports}`, firewall.outside];
const nmap = ['nmap', '-n', '-Pn', '--version-intensity', '0'];
/** How many times longer the run has to take. */
const longer = 2;

interface Scan {
  readonly open: number;
  readonly seconds: number;
  readonly output: string;
}

/** Connects to the ports, and asks those that are open what they are. */
async function scanFrom(lab: Lab, host: HostName): Promise<Scan> {
  const output = await lab.on(host, ...nmap, '-sT', '-sV', ...target);
  const [, seconds = '0'] = /scanned in ([\d.]+) seconds/.exec(output) ?? [];
  return { open: output.match(/^\d+\/tcp +open/gm)?.length ?? 0, seconds: Number(seconds), output };
}

const isKnown = async (lab: Lab) =>
  (await lab.tries('firewall', 'postern', 'table', 'test', 'scanners', attacker.v4)).ok ? 'listed' : 'not listed';

export const scan: Scenario = {
  name: 'scan',
  title: 'A scan is seen by psd; the scanner is listed, and from then on its scans take longer and say nonsense',
  async play({ lab, report }) {
    report.row('attacker in <scanners>, before', 'not listed', await isKnown(lab));
    const honest = await scanFrom(lab, 'remote');
    report.row('remote, which may scan: open ports that nmap finds', 0, honest.open);

    await lab.on('attacker', ...nmap, '-sS', ...target);
    report.row('attacker in <scanners>, after nmap -sS', 'listed', await isKnown(lab));
    const trapped = await scanFrom(lab, 'attacker');
    report.output(`nmap -sT -sV ${target.join(' ')}`, trapped.output);
    report.row('attacker, the same nmap as remote: open ports that it finds', ports, trapped.open);
    const factor = trapped.seconds / honest.seconds;
    const seen = factor >= longer ? 'longer' : `${trapped.seconds} s`;
    report.row(
      `   it takes more than ${longer} times as long (${honest.seconds} s, ${trapped.seconds} s)`,
      'longer',
      seen,
    );

    await lab.postern('table', 'delete', 'scanners', attacker.v4);
  },
};
