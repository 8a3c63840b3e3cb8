/** nmap and ordinary connections against the compiled states, between namespaces. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compileText } from '../../src/cli/policy-file.js';
import { liveBench } from '../kernel/engine-fixture.js';
import { link, namespace } from '../kernel/namespace.js';

const outside = await namespace({ after });
const firewall = await namespace({ after });
await link(
  [outside, 'out', '198.51.100.2/24', '2001:db8:1::2/64'],
  [firewall, 'wan', '198.51.100.1/24', '2001:db8:1::1/64'],
);

const kinds = ['stealth', 'synscan', 'cnscan', 'grscan'] as const;
const rules = kinds.map((kind) => `      - { tcp: any, lscan: ${kind}, do: count }`).join('\n');
const policy = `version: 1\nchains:\n  input:\n    rules:\n${rules}\n`;
const bench = await liveBench({ after }, firewall, policy, {
  compile: async (source, previous) => compileText(source, previous),
});

async function counted(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const read = () =>
    Promise.all(
      bench.engine.policy.current!.plan.manifest.objects.flatMap(({ role }, index) =>
        role.kind === 'rule' ? [bench.kernel.object(index).then(({ packets = 0n }) => Number(packets))] : [],
      ),
    );
  const before = await read();
  await work();
  const now = await read();
  return Object.fromEntries(kinds.map((kind, index) => [kind, now[index]! - before[index]!]));
}

const nmap = (...args: readonly string[]) =>
  outside.run('nmap', '-n', '-Pn', '-T4', '--max-retries', '0', '--disable-arp-ping', '-p', '80,81,82,83', ...args);

/** Listens at 80 and answers what comes; at 81 it greets first. */
const server = `const net = require('node:net');
let open = 0;
const ready = () => { if (++open === 2) console.log('ready'); };
net.createServer((s) => { s.on('error', () => {}); s.on('data', () => s.end('answer')); }).listen(80, '::', ready);
net.createServer((s) => { s.on('error', () => {}); s.write('220 hello\\r\\n'); s.on('data', () => s.end('bye')); }).listen(81, '::', ready);`;
const listening = firewall.start(process.execPath, ['-e', server]);
await new Promise((resolve) => listening.stdout!.once('data', resolve));
after(() => void listening.kill());

for (const [args, expected] of [
  [['-sS', '198.51.100.1'], { stealth: 0, synscan: 2, cnscan: 0, grscan: 0 }],
  [['-sF', '198.51.100.1'], { stealth: 4, synscan: 0, cnscan: 0, grscan: 0 }],
  [['-sN', '198.51.100.1'], { stealth: 4, synscan: 0, cnscan: 0, grscan: 0 }],
  [['-sX', '198.51.100.1'], { stealth: 4, synscan: 0, cnscan: 0, grscan: 0 }],
  [['-sM', '198.51.100.1'], { stealth: 4, synscan: 0, cnscan: 0, grscan: 0 }],
  [['-sA', '198.51.100.1'], { stealth: 0, synscan: 0, cnscan: 0, grscan: 0 }],
  [['-6', '-sS', '2001:db8:1::1'], { stealth: 0, synscan: 2, cnscan: 0, grscan: 0 }],
] as const) {
  test(`nmap ${args.join(' ')}`, async () => {
    assert.deepEqual(await counted(() => nmap(...args)), expected);
  });
}

test('nmap -sT opens and closes: connections without a word, or after the greeting', async () => {
  const { stealth, synscan, cnscan = 0, grscan = 0 } = await counted(() => nmap('-sT', '198.51.100.1'));
  assert.deepEqual([stealth, synscan], [0, 0]);
  assert.ok(cnscan >= 1 && cnscan + grscan >= 2, `${cnscan} ${grscan}`);
});

test('ordinary connections of both families are no scan', async () => {
  const client = `const net = require('node:net');
const talk = (port, host) => new Promise((done) => { const s = net.connect(port, host, () => s.write('GET /')); s.on('error', done); s.on('close', done); s.on('data', () => {}); });
(async () => { for (let round = 0; round < 5; round++) await Promise.all([80, 81, 80, 81].flatMap((port) => [talk(port, '198.51.100.1'), talk(port, '2001:db8:1::1')])); })();`;
  const found = await counted(() => outside.run(process.execPath, '-e', client));
  assert.deepEqual(found, { stealth: 0, synscan: 0, cnscan: 0, grscan: 0 });
});
