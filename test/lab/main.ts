/**
 * `npm run lab`: builds and starts the containers of docker/compose.yaml, plays the scenarios, checks each, and takes
 * everything down.
 *   npm run lab                       all of it
 *   npm run lab -- run SCENARIO...    these scenarios; on the lab that is up, if one is
 *   npm run lab -- up | down          leaves it running; ends it
 *   npm run lab -- shell HOST         a shell on a host of the lab that is up
 */

import { spawnSync } from 'node:child_process';
import { Report } from '../demo/report.js';
import { interruption } from './docker.js';
import { type HostName, hosts, Lab } from './lab.js';
import { scenarios } from './scenarios/all.js';
import type { Scenario } from './scenarios/scenario.js';
import { type Session, startSession, stopSession, upSession } from './session.js';

const usage = `usage: npm run lab [-- up | down | shell HOST | run SCENARIO...]
scenarios: ${scenarios.map(({ name }) => name).join(' ')}
hosts: ${Object.keys(hosts).join(' ')}`;

const started = performance.now();
const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
const say = (text: string) => console.log(`lab: ${text} (${seconds()} s)`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!interruption.signal.aborted) console.log(`lab: ${signal}: taking it down`);
    interruption.abort();
  });
}

/** A lab that is ready. What was started and doesn't get ready is stopped. */
async function start(): Promise<Session> {
  const session = await startSession(say);
  try {
    await new Lab(session).ready();
    say('everything is up');
    return session;
  } catch (error) {
    await stopSession(session);
    throw error;
  }
}

async function play(chosen: readonly Scenario[]): Promise<number> {
  const there = await upSession();
  const session = there ?? (await start());
  const report = new Report();
  try {
    const lab = new Lab(session);
    for (const { name, title, play: playOne } of chosen) {
      report.heading(`${name}: ${title}`);
      await playOne({ lab, report });
    }
  } finally {
    if (there === undefined) await stopSession(session);
  }
  const { count, misses } = report;
  console.log(`\n${count - misses.length} of ${count} rows as expected, in ${seconds()} s`);
  return misses.length === 0 ? 0 : 1;
}

async function up(): Promise<number> {
  if ((await upSession()) !== undefined) throw new Error('it is up already; npm run lab -- down ends it');
  const session = await start();
  console.log(`
Hosts: ${Object.keys(hosts).join(', ')}. Try
  npm run lab -- shell firewall        postern status, postern table list, nft list ruleset
  npm run lab -- run ${scenarios[0]!.name}
  npm run lab -- down
Prometheus: http://${hosts.prometheus.v4}:9090`);
  const host = session.env.DOCKER_HOST;
  if (host !== undefined) console.log(`For docker and compose: export DOCKER_HOST=${host}`);
  return 0;
}

async function down(): Promise<number> {
  const session = await upSession();
  if (session === undefined) console.log('lab: it is not up');
  else await stopSession(session);
  return 0;
}

async function shell(host: string | undefined): Promise<number> {
  if (host === undefined || !(host in hosts)) throw new Error(usage);
  const session = await upSession();
  if (session === undefined) throw new Error('it is not up; npm run lab -- up starts it');
  const container = await new Lab(session).container(host as HostName);
  const flags = process.stdin.isTTY ? ['-it'] : ['-i'];
  const shellOf = host === 'prometheus' ? 'sh' : 'bash';
  const options = { stdio: 'inherit', env: { ...process.env, ...session.env } } as const;
  return spawnSync('docker', ['exec', ...flags, container, shellOf], options).status ?? 1;
}

function chosenFrom(names: readonly string[]): readonly Scenario[] {
  const chosen = names.map((name) => scenarios.find((one) => one.name === name));
  if (names.length === 0 || chosen.includes(undefined)) throw new Error(usage);
  return chosen as readonly Scenario[];
}

async function command([word, ...rest]: readonly string[]): Promise<number> {
  if (word === undefined) return play(scenarios);
  if (word === 'run') return play(chosenFrom(rest));
  if (word === 'shell' && rest.length === 1) return shell(rest[0]);
  if (word === 'up' && rest.length === 0) return up();
  if (word === 'down' && rest.length === 0) return down();
  throw new Error(usage);
}

process.exitCode = await command(process.argv.slice(2)).catch((error: Error) => {
  console.error(interruption.signal.aborted ? 'lab: interrupted' : `lab: ${error.message}`);
  return interruption.signal.aborted ? 130 : 1;
});
