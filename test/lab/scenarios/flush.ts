import { until } from '../docker.js';
import { hosts } from '../lab.js';
import { type Scenario, within } from './scenario.js';

const { attacker, web } = hosts;

/** Flushes, and answers the milliseconds until the sets of the bans are back with what was in them. */
const flushAndWait = `now() { echo $(($(date +%s%N) / 1000000)); }
nft flush ruleset
start=$(now)
has() { nft list set inet postern "$1" 2>/dev/null | grep -q "$2"; }
until has t_spammer_h4 ${attacker.v4} && has t_spammer_h6 ${attacker.v6}; do
  [ $(($(now) - start)) -lt 30000 ] || exit 1
done
echo $(($(now) - start))`;

/** Of a quota object: a new one begins with what was left of the old one. */
const amount = /(quota \S+ \{\s*)(?:over )?\d+ \w+/g;

export const flush: Scenario = {
  name: 'flush',
  title: 'Somebody flushes the ruleset of the firewall: it is back within a second, bans included',
  async play({ lab, report }) {
    await lab.postern('table', 'add', 'spammer', attacker.v4, attacker.v6);
    const rules = async () =>
      (await lab.on('firewall', 'nft', '-s', '-t', 'list', 'table', 'inet', 'postern')).replace(amount, '$1');
    const repaired = async () => Number(await lab.metric('postern_drift_repaired_total'));
    const [before, repairedBefore] = [await rules(), await repaired()];

    const elapsedMs = Number(await lab.on('firewall', 'sh', '-c', flushAndWait));
    report.row('rules and bans, after nft flush ruleset', ...within(elapsedMs, 1_000, 'ms'));
    await until('the repair is told', async () => (await repaired()) > repairedBefore, 10_000);
    report.row('the rules', 'as before', (await rules()) === before ? 'as before' : 'others');
    for (const version of ['v4', 'v6'] as const) {
      report.row(`http from attacker over ${version}`, 'shut', await lab.opens('attacker', web[version], 80));
      report.row(`http from remote over ${version}`, 'open', await lab.opens('remote', web[version], 80));
    }
    console.log(`        (it took ${elapsedMs} ms)`);
    await lab.postern('table', 'delete', 'spammer', attacker.v4, attacker.v6);
  },
};
