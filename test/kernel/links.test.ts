import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Link, type Links, openLinks } from '../../src/kernel/links.js';
import { formatAddress } from '../../src/net/address.js';
import { type Namespace, namespace, type Scope, until } from './namespace.js';

type View = ReadonlyMap<string, Link>;

async function watch(t: Scope, space: Namespace, receiveBufferBytes?: number): Promise<{ links: Links; told: View[] }> {
  const told: View[] = [];
  const links = await openLinks({
    namespace: space.name,
    changed: (view) => told.push(view),
    ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
  });
  t.after(async () => links.close());
  return { links, told };
}

function addresses(link: Link | undefined): string[] {
  return (link?.addresses ?? [])
    .filter(({ scope }) => scope !== 253)
    .map(
      ({ address, prefixLength, peer }) =>
        `${formatAddress(address)}/${prefixLength}${peer ? ` to ${formatAddress(peer)}` : ''}`,
    )
    .sort();
}

test('links are there with their flags, MACs and addresses', async (t) => {
  const space = await namespace(t);
  await space.run('ip', 'link', 'add', 'lan0', 'address', '02:00:00:00:00:01', 'mtu', '1400', 'type', 'bridge');
  await space.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lan0');
  await space.run('ip', 'address', 'add', '198.51.100.1', 'peer', '198.51.100.2/32', 'dev', 'lan0');
  await space.run('ip', 'address', 'add', '2001:db8::1/64', 'dev', 'lan0', 'nodad');
  const { links } = await watch(t, space);
  const { lo, lan0 } = Object.fromEntries(links.current());
  assert.deepEqual([lo?.loopback, lo?.up, lo?.index], [true, true, 1]);
  assert.deepEqual([lan0?.loopback, lan0?.up, lan0?.mtu], [false, false, 1400]);
  assert.deepEqual(lan0?.mac, Uint8Array.of(2, 0, 0, 0, 0, 1));
  assert.deepEqual(addresses(lan0), ['192.0.2.1/24', '198.51.100.1/32 to 198.51.100.2', '2001:db8::1/64']);
  assert.deepEqual(addresses(lo), ['127.0.0.1/8', '::1/128']);
});

test('changes are told once each burst, and nothing when nothing has changed', async (t) => {
  const space = await namespace(t);
  const { links, told } = await watch(t, space);
  await sleep(50);
  assert.equal(told.length, 0);
  await space.run('ip', 'link', 'add', 'lan0', 'type', 'bridge');
  await until('the link', () => links.current().has('lan0'));
  await space.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lan0');
  await until('the address', () => addresses(links.current().get('lan0')).length === 1);
  await space.run('ip', 'link', 'set', 'lan0', 'up');
  await until('the link to go up', () => links.current().get('lan0')?.up === true);
  await space.run('ip', 'link', 'set', 'lan0', 'name', 'lan1');
  await until('the new name', () => links.current().has('lan1'));
  assert.equal(links.current().has('lan0'), false);
  await space.run('ip', 'address', 'del', '192.0.2.1/24', 'dev', 'lan1');
  await until('the address to go', () => addresses(links.current().get('lan1')).length === 0);
  await space.run('ip', 'link', 'del', 'lan1');
  await until('the link to go', () => !links.current().has('lan1'));
  assert.deepEqual([...(told.at(-1)?.keys() ?? [])], ['lo']);
});

test('after an overflow everything is read anew', async (t) => {
  const space = await namespace(t);
  await space.run('ip', 'link', 'add', 'lan0', 'type', 'bridge');
  const { links } = await watch(t, space, 2048);
  const batch = Array.from({ length: 2000 }, (_, index) => {
    const address = `10.1.${index >> 8}.${index & 255}/32`;
    return `address add ${address} dev lan0\n${index % 2 === 0 ? `address del ${address} dev lan0\n` : ''}`;
  });
  await space.start('ip', ['-batch', '-'], { input: batch.join('') });
  await until('a loss', () => links.losses > 0);
  await until('all addresses', () => addresses(links.current().get('lan0')).length === 1000);
});
