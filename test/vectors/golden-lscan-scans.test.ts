/** nmap and plain clients before the compiled states, against what the recorded module counted of the same. Needs root and nmap. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { loadGolden } from './golden.js';
import { RowRun } from './row-run.js';

const kinds = ['stealth', 'synscan', 'cnscan', 'grscan', 'mirai'] as const;
type Kind = (typeof kinds)[number];
type Hits = Readonly<Record<Kind, number>>;

interface Scan {
  /** Options of nmap, or what a client did. */
  readonly scan: string;
  readonly hits: Readonly<Record<`--${Kind}`, number>>;
  readonly nmap_stdout?: string;
}

const { nmap: scans } = loadGolden<{ readonly nmap: readonly Scan[] }>('lscan');
const [outside, firewall] = [await namespace({ after }), await namespace({ after })];
await link([outside, 'out', '198.51.100.2/24'], [firewall, 'wan', '198.51.100.1/24']);
const target = '198.51.100.1';

const rules = kinds.map((kind) => `      - { tcp: any, lscan: ${kind}, do: count }`).join('\n');
const bench = await liveBench({ after }, firewall, `version: 1\nchains:\n  input:\n    rules:\n${rules}\n`, {
  compile: async (source, previous) => compileText(source, previous),
});

async function counts(): Promise<number[]> {
  const { objects } = bench.engine.policy.current!.plan.manifest;
  const own = objects.flatMap(({ role }, index) => (role.kind === 'rule' ? [index] : []));
  return Promise.all(own.map(async (index) => Number((await bench.kernel.object(index)).packets)));
}

async function counted(work: () => Promise<unknown>): Promise<Hits> {
  const before = await counts();
  await work();
  const now = await counts();
  return Object.fromEntries(kinds.map((kind, index) => [kind, now[index]! - before[index]!])) as Hits;
}

/** As in the recording: 8000 greets, 8002 waits to be asked. */
const server = `const net = require('node:net');
let open = 0;
const ready = () => { if (++open === 2) console.log('ready'); };
const answer = (s) => { s.on('error', () => {}); s.on('data', () => s.end('HTTP/1.0 200 OK\\r\\n\\r\\nbody')); };
net.createServer((s) => { s.write('220 hello\\r\\n'); answer(s); }).listen(8000, ready);
net.createServer(answer).listen(8002, ready);`;
const listening = firewall.start(process.execPath, ['-e', server]);
await new Promise((resolve) => listening.stdout!.once('data', resolve));
after(() => void listening.kill());

const node = (space: Namespace, script: string): Promise<unknown> => space.run(process.execPath, '-e', script);
/** Reads the greeting, waits until it is acknowledged, and closes. */
const greeted = (times: number): string => `const net = require('node:net');
const one = () => new Promise((done) => { const s = net.connect(8000, '${target}'); s.on('close', done); s.once('data', () => setTimeout(() => s.end(), 100)); });
(async () => { for (let round = 0; round < ${times}; round++) await one(); })();`;
const fetched = (port: number): string => `const net = require('node:net');
const s = net.connect(${port}, '127.0.0.1', () => s.write('GET / HTTP/1.0\\r\\n\\r\\n'));
s.on('error', () => {}); s.on('data', () => {});`;

const ports = scans.flatMap(({ nmap_stdout = '' }) =>
  [...nmap_stdout.matchAll(/^(\d+)\/tcp/gm)].map(([, port]) => port),
);

/** Our counterpart of a scan; undefined when there is none. */
function replay(scan: string): (() => Promise<unknown>) | undefined {
  const times = /^python client: connect, read banner, close x(\d+)$/.exec(scan)?.[1];
  if (times !== undefined) return () => node(outside, greeted(Number(times)));
  if (scan === 'loopback http') return () => node(firewall, fetched(8002));
  if (scan === 'loopback refused') return () => node(firewall, fetched(8001));
  // Service detection waits half a minute for answers.
  if (!/^-s[A-Z]( |$)/.test(scan) || scan.startsWith('-sV')) return undefined;
  const options = ['-n', '-Pn', '-T4', '--max-retries', '0', '--disable-arp-ping', '-p', [...new Set(ports)].join(',')];
  return () => outside.run('nmap', ...options, ...scan.split(' '), target);
}

/** What is compared: of whole connections only that they are seen, for whether the greeting comes before the end is chance. */
const summary = ({ scan }: Scan, { stealth, synscan, cnscan, grscan, mirai }: Hits) =>
  scan.startsWith('-sT')
    ? { stealth, synscan, connections: cnscan + grscan > 0, mirai }
    : { stealth, synscan, cnscan, grscan, mirai };

const theirs = ({ hits }: Scan): Hits => Object.fromEntries(kinds.map((kind) => [kind, hits[`--${kind}`]])) as Hits;

const differences = {
  'SYN scans': {
    reason: 'a SYN scan is reported by synscan',
    applies: ({ scan }: Scan) => scan.startsWith('-sS'),
    expected: (one: Scan) => summary(one, { ...theirs(one), stealth: 0, synscan: theirs(one).stealth }),
  },
};

test('scans and connections are counted as the recorded module counted them', async (t) => {
  const run = new RowRun<Scan>(differences);
  for (const one of scans) {
    const work = replay(one.scan);
    if (work === undefined) run.leaveOut(t, one.scan);
    else run.check(one.scan, one, summary(one, await counted(work)), summary(one, theirs(one)));
  }
  run.end(t, scans.length);
  assert.ok(ports.length > 0);
});
