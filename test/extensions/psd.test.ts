/** Port scans and ordinary traffic between namespaces: nmap and browsing against the kernel form, the daemon for the exact one. Needs root. */

import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileText } from '../../src/cli/policy-file.js';
import { packetCopies } from '../../src/kernel/packet-copies.js';
import { openPackets } from '../../src/kernel/packets.js';
import { formatAddress, parseAddress } from '../../src/net/address.js';
import { PsdScorer } from '../../src/services/psd/scorer.js';
import { psd } from '../../src/services/psd/service.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { link, type Namespace, namespace } from '../kernel/namespace.js';
import { compiled } from '../kernel/scratch-world.js';

const outside = await namespace({ after });
const firewall = await namespace({ after });
await link(
  [outside, 'out', '198.51.100.2/24', '2001:db8:1::2/64'],
  [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64'],
);

const policy = (psdWords: string) => `
version: 1
tables: { scanners: {} }
chains:
  input:
    rules:
      - { name: scan, psd: { ${psdWords} }, do: add source to <scanners> for 10m }
`;
const bench = await liveBench({ after }, firewall, policy(''), {
  compile: async (source, previous) => compileText(source, previous),
});

async function fresh(words: string): Promise<void> {
  bench.text = 'version: 1\n';
  await bench.engine.policy.apply();
  bench.text = policy(words);
  await bench.engine.policy.apply();
}

/** The rule adds to the kernel's set; nobody else does. */
async function scanners(): Promise<string[]> {
  const { sets } = bench.engine.policy.current!.plan.manifest;
  const own = sets.flatMap(({ role }, set) => (role.kind === 'table' && role.tier === 'hosts' ? [set] : []));
  const found = await Promise.all(own.map((set) => bench.kernel.dump(set)));
  return found
    .flat()
    .map(({ key }) =>
      formatAddress({ family: key.length === 4 ? 4 : 6, value: BigInt(`0x${Buffer.from(key).toString('hex')}`) }),
    );
}

const nmap = (space: Namespace, ...args: readonly string[]) =>
  space.run('nmap', '-n', '-Pn', '--max-retries', '0', '--disable-arp-ping', ...args);

suite('the kernel form finds', () => {
  const low = ['-p', '1-24', '198.51.100.1'];
  for (const [name, ...args] of [
    ['-sS -T4', '-sS', '-T4', ...low],
    ['-sS -T3', '-sS', '-T3', ...low],
    ['-sS -T2', '-sS', '-T2', '-p', '1-9', '198.51.100.1'],
    ['-sT -T4', '-sT', '-T4', ...low],
    ['-sT -T3', '-sT', '-T3', ...low],
    ['-sU -T4', '-sU', '-T4', ...low],
    ['-sF -T4', '-sF', '-T4', ...low],
    ['-sF -T3', '-sF', '-T3', ...low],
    ['-6 -sS -T4', '-6', '-sS', '-T4', '-p', '1-24', '2001:db8:1::1'],
  ] as const) {
    test(`nmap ${name}`, async () => {
      await fresh('');
      await nmap(outside, ...args);
      assert.deepEqual(await scanners(), [name.startsWith('-6') ? '2001:db8:1::2' : '198.51.100.2']);
    });
  }
});

test('the kernel form says nothing of ordinary browsing', async () => {
  await fresh('');
  const server = `const net = require('node:net');
let open = 0;
for (const port of [80, 443]) net.createServer((s) => { s.on('error', () => {}); s.end('HTTP/1.0 200 OK\\r\\n\\r\\nhello'); }).listen(port, '::', () => { if (++open === 2) console.log('ready'); });`;
  const listening = firewall.start(process.execPath, ['-e', server]);
  await new Promise((resolve) => listening.stdout!.once('data', resolve));
  const client = `const net = require('node:net');
const get = (port, host) => new Promise((done) => { const s = net.connect(port, host); s.on('error', done); s.on('close', done); s.on('data', () => {}); s.write('GET / HTTP/1.0\\r\\n\\r\\n'); });
(async () => { for (let round = 0; round < 10; round++) await Promise.all([80, 443, 80, 443, 443, 80].flatMap((port) => [get(port, '198.51.100.1'), get(port, '2001:db8:1::1')])); })();`;
  await outside.run(process.execPath, '-e', client);
  assert.deepEqual(await scanners(), []);
  listening.kill();
});

test('the exact form puts a source into the set, and its next probes match', async () => {
  await fresh('exact: true');
  const died: Error[] = [];
  const copies = packetCopies(
    (options) => openPackets({ namespace: firewall.name, ...options }),
    (error) => void died.push(error),
  );
  const warnings: string[] = [];
  const log = {
    info() {},
    warn: (line: string) => void warnings.push(line),
    error: (line: string) => void warnings.push(line),
  };
  const { engine } = bench;
  const section = psd.section(engine.policy.current!.policy)!;
  const service = psd.create(section, { engine, copies, log, now: Date.now });
  await service.start();
  try {
    assert.equal(service.status(), '1 exact detectors');
    const found = new Promise((resolve) => engine.events.once('scan', resolve));
    await nmap(outside, '-sS', '-T4', '-p', '1-12', '198.51.100.1');
    assert.deepEqual(await found, { detector: '21_3000_3_1', address: '198.51.100.2' });
    const deadline = Date.now() + 20_000;
    while ((await scanners()).length === 0 && Date.now() < deadline) {
      await nmap(outside, '-sS', '-T4', '-p', '99', '198.51.100.1');
      await sleep(50);
    }
    assert.deepEqual(await scanners(), ['198.51.100.2']);
    const probes = service.metrics!().find(({ name }) => name === 'postern_psd_probes_total')!.samples[0]!.value;
    assert.ok(probes >= 12, `${probes} probes`);
    assert.deepEqual([warnings, died], [[], []]);
  } finally {
    await service.stop();
    await copies.close();
  }
});

test('a flood of sources leaves the scorer as it is, and the oldest go first', () => {
  const scorer = new PsdScorer(
    { weightThreshold: 21, delayMs: 3_000, loPortsWeight: 3, hiPortsWeight: 1 },
    { hosts: 64 },
  );
  const probe = (source: string, destinationPort: number) => ({
    source: parseAddress(source),
    protocol: 6,
    destinationPort,
    tcpFlags: 2,
    fragmentOffset: 0,
  });
  const scan = (source: string, from: number, to: number) => {
    const found: number[] = [];
    for (let port = from; port <= to; port++) if (scorer.isScan(probe(source, port), port)) found.push(port);
    return found;
  };
  assert.deepEqual(scan('192.0.2.1', 1, 6), []);
  for (let host = 0; host < 40; host++) scorer.isScan(probe(`198.18.0.${host}`, 80), 7);
  assert.deepEqual(scan('192.0.2.1', 7, 8), [7, 8]);
  assert.equal(scorer.evicted, 0);
  for (let host = 0; host < 200; host++) scorer.isScan(probe(`198.18.1.${host}`, 80), 9);
  assert.deepEqual(scan('192.0.2.1', 9, 12), []);
  assert.ok(scorer.evicted >= 100, `${scorer.evicted} evicted`);
});

for (const [words, message] of [
  ['lo_ports_weight: 0, hi_ports_weight: 0', /when no port weighs anything, nobody ever scans/],
  ['weight_threshold: 9999, lo_ports_weight: 4999, hi_ports_weight: 1', /would take 4999 steps for each packet/],
  ['weight_threshold: 0', /0/],
  ['delay_threshold: 0s', /0s/],
] as const) {
  test(`psd: { ${words} } is refused`, () => assert.throws(() => compiled(policy(words)), message));
}
