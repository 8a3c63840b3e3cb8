/**
 * The proof that nothing acknowledged is lost, at full length: kill -9 of the daemon under load, round after round. It takes
 * about nine seconds a round, so that it runs only when it is named; POSTERN_CRASH_ROUNDS (100) makes it shorter.
 */

import { killRounds } from '../kernel/crash/kill-rounds.js';
import { type Bench, median } from './bench.js';
import { inScope } from './world.js';

const rounds = Number(process.env.POSTERN_CRASH_ROUNDS ?? 100);
const perSecond = 20_000;
/** Some more is offered: what comes last is cut off by the kill. */
const offered = 23_000;

export const crashBench: Bench = {
  name: 'crash',
  title: 'kill -9 under updates from pftabled and REST together',
  onlyByName: true,
  async *run() {
    const rates: number[] = [];
    await inScope(async (scope) => {
      for await (const round of killRounds(scope, { rounds, perSecond: offered })) {
        rates.push(round.perSecond);
        console.log(round.text);
      }
    });
    const [rate, least] = [median(rates), Math.min(...rates)];
    yield {
      work: `${rounds} rounds: all acknowledged kept, nothing half, no replay`,
      ours: `${rate.toLocaleString('en')}/s`,
      reference: `slowest round: ${least.toLocaleString('en')}/s`,
      must: `≥ ${perSecond.toLocaleString('en')}/s`,
      met: rate >= perSecond,
    };
  },
};
