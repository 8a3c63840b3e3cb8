import assert from 'node:assert/strict';
import { test } from 'node:test';
import { netfilterExchange } from '../../src/kernel/socket-exchange.js';
import { killStates } from '../../src/kernel/states.js';
import { parseAddress } from '../../src/net/address.js';
import { type Namespace, namespace } from './namespace.js';

const FLOWS = [
  ['192.0.2.1', '198.51.100.1', '1001'],
  ['192.0.2.1', '198.51.100.2', '1002'],
  ['192.0.2.2', '192.0.2.1', '1003'],
  ['192.0.2.3', '198.51.100.1', '1004'],
  ['2001:db8::1', '2001:db8::2', '1005'],
  ['2001:db8::3', '2001:db8::2', '1006'],
] as const;

async function connect(space: Namespace): Promise<void> {
  for (const [source, destination, port] of FLOWS) {
    await space.run(
      'conntrack',
      ...['-I', '-s', source, '-d', destination, '-p', 'udp', '--sport', port, '--dport', '53', '-t', '600'],
    );
  }
}

async function ports(space: Namespace): Promise<string[]> {
  const lists = await Promise.all(['ipv4', 'ipv6'].map((family) => space.run('conntrack', '-L', '-f', family)));
  const found = lists.flatMap(({ stdout }) => [...stdout.matchAll(/sport=(100\d) /g)].map((match) => match[1] ?? ''));
  return found.sort();
}

for (const filter of [true, false]) {
  test(`the states of an address are killed ${filter ? 'by filter' : 'from a listing'}, and no others`, async (t) => {
    const space = await namespace(t);
    await connect(space);
    assert.deepEqual(await ports(space), ['1001', '1002', '1003', '1004', '1005', '1006']);
    const exchange = netfilterExchange(space.name);
    t.after(() => exchange.close());
    await killStates(exchange, parseAddress('192.0.2.1'), filter);
    assert.deepEqual(await ports(space), ['1004', '1005', '1006']);
    await killStates(exchange, parseAddress('2001:db8::2'), filter);
    assert.deepEqual(await ports(space), ['1004']);
    await killStates(exchange, parseAddress('203.0.113.1'), filter);
    assert.deepEqual(await ports(space), ['1004']);
  });
}
