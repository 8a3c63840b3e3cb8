import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementRange } from '../../src/engine/entries/element.js';
import type { Link, LinkAddress } from '../../src/kernel/links.js';
import { parseAddress } from '../../src/net/address.js';
import { formatRange } from '../../src/net/prefix.js';
import { settle } from './fake-clock.js';
import { type Bench, bench } from './fixture.js';

const policy = `
version: 1
interfaces: { lan: eth1 }
chains:
  input:
    rules:
      - { from: lan:network, do: accept }
      - { to: lan:address, tcp: 22, do: accept }
`;

function address(text: string, extra: Partial<LinkAddress> = {}): LinkAddress {
  const [host, length] = text.split('/');
  return { address: parseAddress(host!), prefixLength: Number(length), scope: 0, usable: true, ...extra };
}

/** Devices that a test changes. */
function links() {
  let tell = () => {};
  const devices = new Map<string, Link>();
  return {
    set(name: string, ...addresses: LinkAddress[]) {
      const link = { index: 1, name, flags: 0x11043, up: true, running: true, loopback: false, mtu: 1_500, addresses };
      devices.set(name, link);
      tell();
    },
    openLinks: async (changed: () => void) => {
      tell = changed;
      return { current: () => devices, close: () => {} };
    },
  };
}

/** `eth1 network 4: …`, what the kernel holds. */
async function held({ kernel, engine }: Bench): Promise<string[]> {
  const lines: string[] = [];
  for (const [index, { role }] of engine.policy.current!.plan.manifest.sets.entries()) {
    if (role.kind !== 'interface') continue;
    const texts = (await kernel.dump(index)).map((element) => formatRange(elementRange(element)));
    if (texts.length > 0) lines.push(`${role.device} ${role.part} ${role.family}: ${texts.sort().join(' ')}`);
  }
  return lines.sort();
}

test('networks and addresses of a device are loaded with the rules and follow the device', async () => {
  const host = links();
  host.set('eth1', address('192.0.2.1/24'), address('192.0.2.2/24'), address('2001:db8::1/64', { usable: false }));
  const made = await bench(policy, { openLinks: host.openLinks });
  assert.deepEqual(await held(made), [
    'eth1 address 4: 192.0.2.1 192.0.2.2',
    'eth1 network 4: 192.0.2.0/24',
    'eth1 network 6: 2001:db8::/64',
  ]);
  host.set(
    'eth1',
    address('198.51.100.1/25'),
    address('2001:db8::1/64'),
    address('203.0.113.1/32', { peer: parseAddress('203.0.113.2') }),
  );
  await settle();
  assert.deepEqual(await held(made), [
    'eth1 address 4: 198.51.100.1 203.0.113.1',
    'eth1 address 6: 2001:db8::1',
    'eth1 network 4: 198.51.100.0/25 203.0.113.2',
    'eth1 network 6: 2001:db8::/64',
  ]);
  host.set('eth1');
  await settle();
  assert.deepEqual(await held(made), []);
});

test('a restart brings the sets up to date', async () => {
  const host = links();
  host.set('eth1', address('192.0.2.1/24'));
  const made = await bench(policy, { openLinks: host.openLinks });
  await made.engine.stop();
  host.set('eth1', address('198.51.100.1/25'));
  await made.restart();
  await settle();
  assert.deepEqual(await held(made), ['eth1 address 4: 198.51.100.1', 'eth1 network 4: 198.51.100.0/25']);
});

test('sets that somebody empties are filled again', async () => {
  const host = links();
  host.set('eth1', address('192.0.2.1/24'));
  const made = await bench(policy, { openLinks: host.openLinks });
  made.kernel.flushRuleset();
  await made.clock.pass(500);
  assert.deepEqual(await held(made), ['eth1 address 4: 192.0.2.1', 'eth1 network 4: 192.0.2.0/24']);
});
