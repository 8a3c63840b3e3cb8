import { until } from '../docker.js';
import { hosts, type Lab } from '../lab.js';
import type { Scenario } from './scenario.js';

const { attacker, firewall, web } = hosts;
const port = '56789';
const captured = '/tmp/datagram';

/** Has the client send its datagram to a file, so that it can be sent twice. */
const capture = `rm -f ${captured}
socat -u UDP-RECV:${port},bind=127.0.0.1 OPEN:${captured},creat & receiver=$!
sleep 0.5
postern pftabled send -k /keys/pftabled.key 127.0.0.1 ${port} spammer add ${attacker.v4}
while [ ! -s ${captured} ]; do sleep 0.1; done
kill $receiver`;

const sendCaptured = (lab: Lab) =>
  lab.on('remote', 'socat', '-u', `OPEN:${captured}`, `UDP-SENDTO:${firewall.outside}:${port}`);

const sendWith = (lab: Lab, key: string) =>
  lab.on('remote', 'postern', 'pftabled', 'send', '-k', key, firewall.outside, port, 'spammer', 'add', attacker.v4);

const banned = async (lab: Lab) =>
  (await lab.tries('firewall', 'postern', 'table', 'test', 'spammer', attacker.v4)).ok ? 'banned' : 'not banned';

const series = (result: string) => `postern_pftabled_datagrams_total{result="${result}"}`;

export const pftabled: Scenario = {
  name: 'pftabled',
  title: 'A signed datagram bans an address; a replay and a forged one do nothing',
  async play({ lab, report }) {
    const refusals = async () => [await lab.metric(series('replay')), await lab.metric(series('digest'))].map(Number);
    const [replayed, forged] = (await refusals()) as [number, number];

    report.row('http from attacker, before', 'open', await lab.opens('attacker', web.v4, 80));
    await lab.on('remote', 'sh', '-ec', capture);
    await sendCaptured(lab);
    await until('the ban', async () => (await banned(lab)) === 'banned', 10_000).catch(() => {});
    report.row('the attacker, after the datagram of remote', 'banned', await banned(lab));
    report.row('http from attacker', 'shut', await lab.opens('attacker', web.v4, 80));
    report.row('http from remote meanwhile', 'open', await lab.opens('remote', web.v4, 80));
    report.output('postern table show spammer', await lab.postern('table', 'show', 'spammer'));

    await lab.postern('table', 'delete', 'spammer', attacker.v4);
    await sendCaptured(lab);
    const replays = async () => (await refusals())[0]! - replayed;
    await until('the refusal', async () => (await replays()) > 0, 10_000).catch(() => {});
    report.row('the same datagram again, when the ban was lifted: refused as a replay', 1, await replays());
    report.row('   the attacker', 'not banned', await banned(lab));

    await lab.on('remote', 'sh', '-c', 'head -c 20 /dev/urandom > /tmp/other.key');
    await sendWith(lab, '/tmp/other.key');
    const forgeries = async () => (await refusals())[1]! - forged;
    await until('the refusal', async () => (await forgeries()) > 0, 10_000).catch(() => {});
    report.row('a datagram signed with another key: refused', 1, await forgeries());
    report.row('   the attacker', 'not banned', await banned(lab));
  },
};
