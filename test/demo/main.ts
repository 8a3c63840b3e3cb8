/**
 * `npm run demo`: a firewall of three network namespaces that runs `rules/demo.yaml`, real traffic through it, and a
 * table of what happened, each row checked against what was sent. `-- --keep` leaves it running.
 */

import { parseArgs } from 'node:util';
import { type Daemon, startDaemon } from './daemon.js';
import { buildNetwork } from './network.js';
import { Report } from './report.js';
import { scenarios } from './scenarios.js';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
if (process.getuid?.() !== 0) {
  console.error('demo: network namespaces need root; run: sudo npm run demo');
  process.exit(1);
}

const endings: (() => Promise<void>)[] = [];
const started = performance.now();

async function cleanUp(): Promise<void> {
  for (const end of endings.reverse()) await end().catch((error: Error) => console.error(`demo: ${error.message}`));
}

async function run(): Promise<number> {
  const report = new Report();
  const network = await buildNetwork({ after: (end) => endings.push(end) });
  const daemon = await startDaemon(network.firewall);
  endings.push(() => daemon.stop());
  for (const scenario of scenarios) await scenario({ network, daemon, report });

  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { count, misses } = report;
  console.log(`\n${count - misses.length} of ${count} rows as expected, in ${seconds} s`);
  const status = misses.length === 0 ? 0 : 1;
  if (values.keep) await keep(network.firewall.name, daemon, status);
  return status;
}

/** Waits for Ctrl+C, which ends the process; what it leaves is cleaned up at its exit. */
async function keep(namespace: string, { folder, socket }: Daemon, status: number): Promise<never> {
  console.log(`
Left running until Ctrl+C. Try in another terminal:
  export POSTERN_SOCKET=${socket}
  dist/src/cli/postern.cjs table show spammer
  dist/src/cli/postern.cjs iptaccount -l sales
  curl --unix-socket ${socket} http://postern/metrics
  ip netns exec ${namespace} nft list ruleset
Its policy is ${folder}/demo.yaml; after a change: dist/src/cli/postern.cjs reload
Firewall: 198.51.100.1 and 2001:db8:2::1 outside, 192.0.2.1 and 2001:db8:1::1 in the lan.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.prependOnceListener(signal, () => process.exit(status));
  return new Promise(() => {
    // A promise alone doesn't keep Node running.
    setInterval(() => {}, 3_600_000);
  });
}

const status = await run().catch((error: Error) => {
  console.error(`demo: ${error.message}`);
  return 1;
});
await cleanUp();
process.exit(status);
