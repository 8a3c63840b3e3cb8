/** A table whose prefixes are spread over several sets, as packets see it: changed, damaged, restarted. Needs root. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { parseAddress } from '../../src/net/address.js';
import type { Answer } from '../../src/oracle/answer.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';
import { entries, source, words } from '../engine/fixture.js';
import { heldIn, setsOf } from '../engine/kernel-content.js';
import { DaemonBed } from './daemon-bed.js';
import { liveBench } from './engine-fixture.js';
import { type Namespace, namespace, until } from './namespace.js';

const policy = (size: number, rules: string) => `
version: 1
hygiene: off
tables:
  feed: { size: ${size}, entries: [198.18.0.0/15] }
chains:
  output: { policy: accept, rules: [ ${rules} ] }
`;
const inside = '{ to: <feed>, do: drop }';
const outside = '{ udp: 9, to: not <feed>, do: drop }';

/** Short and long ones, with exceptions, in many shards and in both families. */
const list = entries(
  ...['172.0.0.0/6', 'not 172.16.0.0/12', '172.20.1.0/24', '10.9.0.0/16', '10.9.255.255', 'not 10.9.7.7'],
  ...['2001:db8::/32', 'not 2001:db8:8::/48', '2001:db8:8:1::/64', 'fc00::/7'],
);
const held = ['172.8.0.1', '173.255.3.4', '172.20.1.77', '10.9.0.1', '10.9.255.255', '198.19.2.3'];
const held6 = ['2001:db8::1', '2001:db8:7:ffff::1', '2001:db8:8:1::5', 'fd12:3456::1'];
const free = ['172.20.2.1', '172.16.0.1', '10.9.7.7', '10.10.0.1', '8.8.8.8', '2001:db8:8:2::1', '2001:db9::1'];

/** A device that takes packets to anywhere. */
async function wayOut(space: Namespace): Promise<void> {
  await space.run('ip', 'link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1');
  await space.run('ip', 'link', 'set', 'out1', 'up');
  await space.run('ip', 'link', 'set', 'out0', 'up');
  await space.run('ip', 'address', 'add', '192.0.2.1/32', 'dev', 'out0');
  await space.run('ip', '-6', 'address', 'add', '2001:db8:ffff::1/128', 'dev', 'out0', 'nodad');
  // A neighbour for each address would fill the neighbour table, which all namespaces share.
  await space.run('ip', 'route', 'add', 'default', 'via', '192.0.2.2', 'dev', 'out0', 'onlink');
  await space.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:ffff::2', 'dev', 'out0', 'onlink');
}

/** Those of the addresses to which packets get out: what a rule drops in output is refused to its sender. */
function passing(space: Namespace, addresses: readonly string[]): string[] {
  const sender = new RawSender(space.name);
  try {
    return addresses.filter((text) => {
      const destination = parseAddress(text);
      const packet = encodePacket({
        source: parseAddress(destination.family === 4 ? '192.0.2.1' : '2001:db8:ffff::1'),
        destination,
        protocol: PROTOCOL.UDP,
        udp: { sourcePort: 9, destinationPort: 9 },
        payload: new Uint8Array(1),
      });
      const before = sender.counts.sent;
      sender.queue(packet);
      sender.flush();
      return sender.counts.sent > before;
    });
  } finally {
    sender.close();
  }
}

const all = [...held, ...held6, ...free];

test('packets find in a spread table what is in it and nothing else, whatever happens to it', async (t) => {
  const space = await namespace(t);
  await wayOut(space);
  const made = await liveBench(t, space, policy(200_000, inside));
  const isRight = () => assert.deepEqual(passing(space, all), free);
  const becomesRight = (what: string) => until(what, () => passing(space, all).join() === free.join());
  assert.ok(setsOf(made.engine, 'feed', 'prefixes', 4).length > 1);

  await t.test('added, and replaced by the same and others', async () => {
    await made.engine.tables.add('feed', list, source);
    isRight();
    await made.engine.tables.replace('feed', [...entries('8.0.0.0/7'), ...list.slice(0, 3)], source);
    assert.deepEqual(passing(space, ['8.8.8.8', '10.9.0.1', '172.20.1.77', 'fd12:3456::1']), [
      '10.9.0.1',
      'fd12:3456::1',
    ]);
    await made.engine.tables.replace('feed', list, source);
    isRight();
  });

  await t.test('damaged by others: one set, the elements of one, all of it', async () => {
    const [first, ...others] = setsOf(made.engine, 'feed', 'prefixes', 4);
    const name = (set: number) => made.engine.policy.current!.plan.manifest.sets[set]!.name;
    await space.nft(`flush set inet postern ${name(first!)}`);
    await space.nft(`flush set inet postern ${name(others[20]!)}`);
    await becomesRight('two shards are filled again');
    await space.nft(`add element inet postern ${name(others[0]!)} { 8.0.0.0/7, 10.10.0.0/16 }`);
    await until(
      'what is foreign to a shard is gone',
      async () => (await heldIn(made.kernel, made.engine, 'feed', 'prefixes', 4)).length === 6,
    );
    isRight();
    await space.nft('flush ruleset');
    await becomesRight('the table is back');
  });

  await t.test('taken over by a daemon that starts', async () => {
    await made.restart();
    isRight();
    // Of what the kernel alone knows: the pieces, each once, whatever number of sets they are in.
    const shown = words(await made.engine.tables.show('feed'));
    assert.ok(shown.includes('172.64.0.0/10') && shown.includes('fc00::/7'), shown.join());
    assert.equal(new Set(shown).size, shown.length);
    await made.engine.tables.replace('feed', list, source);
    isRight();
    assert.equal(words(await made.engine.tables.show('feed')).length, list.length + 1);
  });

  await t.test('made smaller, so that it is one set, and large again; negated', async () => {
    for (const size of [20_000, 200_000]) {
      made.text = policy(size, inside);
      await made.engine.policy.apply();
      isRight();
      made.text = policy(size, outside);
      await made.engine.policy.apply();
      assert.deepEqual(passing(space, all), [...held, ...held6]);
    }
  });

  await t.test('flushed, but for what the policy says', async () => {
    made.text = policy(200_000, inside);
    await made.engine.policy.apply();
    await made.engine.tables.flush('feed', source);
    assert.deepEqual(
      passing(space, all),
      all.filter((text) => text !== '198.19.2.3'),
    );
  });
});

const feed = (size: number) => `tables: { feed: { size: ${size}, entries: [172.0.0.0/6, not 172.16.0.0/12] } }
chains: { input: { policy: accept, rules: [ { from: <feed>, do: drop } ] } }
`;

test('why says of addresses of a spread table what becomes of their packets, under a policy of another size too', async (t) => {
  const bed = await DaemonBed.open(t, feed(200_000));
  await wayOut(bed.space);
  const daemon = await bed.start('--socket', bed.socket);
  const entries = ['172.20.1.0/24', '10.0.0.0/8', '!10.40.0.0/16', '!173.5.0.0/16', '2001:db8::/32'];
  const added = await bed.postern('table', 'add', 'feed', ...entries);
  assert.equal(added.status, 0, added.err);
  const smaller = join(bed.folder, 'smaller.yaml');
  await writeFile(smaller, feed(20_000));
  for (const tried of [[], ['--policy', smaller]]) {
    const verdict = async (from: string) => {
      const packet = `udp out0 ${from} > 192.0.2.1:9`;
      const { status, out, err } = await bed.postern('why', ...bed.places, ...tried, '--json', packet);
      assert.equal(status, 0, err);
      return (JSON.parse(out) as Answer).verdict;
    };
    for (const dropped of ['172.8.0.1', '172.20.1.9', '10.41.0.1']) {
      assert.equal(await verdict(dropped), 'drop', dropped);
    }
    for (const taken of ['172.20.2.9', '10.40.0.1', '173.5.0.1']) assert.equal(await verdict(taken), 'accept', taken);
  }
  await daemon.stop();
});
