import { hosts, type Lab } from '../lab.js';
import type { Scenario } from './scenario.js';

/** Most of a page, so that few of them use the guest's quota of 1 MiB up. */
const pageBytes = 400_000;
const mostPages = 5;
const added = 1_000_000;

/** Whether a host gets all of a page of the web server. */
async function fetches(lab: Lab, host: 'client1' | 'client2'): Promise<'all of it' | 'not all of it'> {
  const page = `http://${hosts.web.v4}/bytes/${pageBytes}`;
  const { output } = await lab.tries(host, 'curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{size_download}', page);
  return output === `${pageBytes}` ? 'all of it' : 'not all of it';
}

const left = async (lab: Lab) => (JSON.parse(await lab.rest('GET', '/v1/quotas/guest')) as { value: number }).value;

export const quota: Scenario = {
  name: 'quota',
  title: 'A quota runs out and traffic stops; an operator adds to it over REST and traffic goes on',
  async play({ lab, report }) {
    await lab.rest('POST', '/v1/quotas/guest/reset');
    report.row(`the guest (client2) fetches a page of ${pageBytes} bytes`, 'all of it', await fetches(lab, 'client2'));
    const used = 1_048_576 - (await left(lab));
    report.row('   taken from the quota', 'the page and its headers', isPage(used) ? 'the page and its headers' : used);

    let pages = 1;
    while (pages < mostPages && (await fetches(lab, 'client2')) === 'all of it') pages += 1;
    report.row('pages until the quota has run out', 2, pages);
    report.row('   client1 meanwhile', 'all of it', await fetches(lab, 'client1'));
    report.row('   left', 'less than a packet', (await left(lab)) < 1500 ? 'less than a packet' : await left(lab));

    const answer = await lab.rest('POST', '/v1/quotas/guest/add', { amount: added });
    report.output(`curl --json '{"amount":${added}}' http://${hosts.firewall.lan}:8080/v1/quotas/guest/add`, answer);
    report.row('the guest, when the operator has added to it', 'all of it', await fetches(lab, 'client2'));
    await lab.rest('POST', '/v1/quotas/guest/reset');
  },
};

const isPage = (bytes: number): boolean => bytes > pageBytes && bytes < pageBytes * 1.1;
