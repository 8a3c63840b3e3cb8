/** What the list nat: does to real traffic. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { address, type Bed, bed, inBoth } from './bed.js';

/** Addresses that are routed to the gate and that nobody has. */
const publicNet = { 4: '203.0.113.0/24', 6: '2001:db8:3::/64' } as const;

describe('translations', () => {
  let net: Bed;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    net = await bed({ after: (end) => ends.push(end) });
    await net.inside.serve(22, 80, 81, 2000, 2001, 2500, 8080);
    await net.outside.serve(80);
    await net.gate.serve(8025);
    await net.outside.space.run('ip', 'route', 'add', publicNet[4], 'via', address.wan[4]);
    await net.outside.space.run('ip', '-6', 'route', 'add', publicNet[6], 'via', address.wan[6]);
  });
  after(async () => {
    for (const end of ends) await end();
  });

  /** PEER and LOCAL of an answer, without ports. */
  const ends_ = (text: string | undefined) => (text ?? '').split(' ').filter((_, index) => index % 2 === 0);

  test('masquerade hides IPv4 behind the gate and leaves IPv6 as it is', async () => {
    await net.load(`
nat:
  - { out: wan, from: lan:network, do: masquerade }
chains:
  forward: { policy: drop, rules: [{ in: lan, do: accept }] }
`);
    const seen4 = await net.inside.tcp(address.outside[4], 80);
    assert.equal(ends_(seen4.text)[0], address.wan[4]);
    const seen6 = await net.inside.tcp(address.outside[6], 80);
    assert.equal(ends_(seen6.text)[0], address.inside[6]);
    assert.equal((await net.outside.tcp(address.inside[4], 80)).result, 'timeout');
  });

  test('masquerade of IPv6 has to be asked for', async () => {
    await net.load('nat:\n  - { out: wan, family: ipv6, from: lan:network, do: masquerade }\n');
    assert.equal(ends_((await net.inside.tcp(address.outside[6], 80)).text)[0], address.wan[6]);
    assert.equal(ends_((await net.inside.tcp(address.outside[4], 80)).text)[0], address.inside[4]);
  });

  test('snat takes a fixed address; a sticky pool gives a host the same one each time', async () => {
    await net.load(`
nat:
  - { out: wan, from: 192.0.2.10, do: snat to 203.0.113.7 }
  - { out: wan, from: 192.0.2.0/24, do: snat to 203.0.113.16/28 sticky }
`);
    const first = await net.inside.tcp(address.outside[4], 80);
    assert.equal(ends_(first.text)[0], '203.0.113.7');
    const pool = new Set<string>();
    for (let index = 0; index < 4; index += 1) {
      const { text } = await net.inside.tcp(address.outside[4], 80, { from: address.second[4] });
      pool.add(ends_(text)[0]!);
    }
    assert.equal(pool.size, 1);
    assert.match([...pool][0]!, /^203\.0\.113\.(1[6-9]|2[0-9]|3[01])$/);
  });

  test('masquerade to ports takes them from the range', async () => {
    await net.load('nat:\n  - { out: wan, from: lan:network, proto: [tcp, udp], do: masquerade port 20000-20010 }\n');
    const { text } = await net.inside.tcp(address.outside[4], 80);
    assert.match(text ?? '', /^198\.51\.100\.1 20(00[0-9]|010) /);
  });

  test('dnat reaches the server inside, whose accept passes the filter; without it the filter decides', async () => {
    await net.load(`
nat:
  - { in: wan, to: wan:address, tcp: 80, do: [dnat to 192.0.2.10, accept] }
  - { in: wan, to: wan:address, tcp: 81, do: dnat to 192.0.2.10 }
  - { in: wan, to: wan:address, tcp: 8000, do: [dnat to 192.0.2.10 port 8080, accept] }
  - { in: wan, to: wan:address, tcp: 80, family: ipv6, do: [dnat to 2001:db8:1::10, accept] }
chains:
  filter: { policy: drop }
`);
    const { outside } = net;
    await inBoth(async (family) => {
      const { text } = await outside.tcp(address.wan[family], 80);
      assert.deepEqual(ends_(text), [address.outside[family], address.inside[family]]);
    });
    assert.equal((await outside.tcp(address.wan[4], 81)).result, 'timeout');
    assert.match((await outside.tcp(address.wan[4], 8000)).text ?? '', /192\.0\.2\.10 8080$/);
    assert.equal((await outside.tcp(address.inside[4], 80)).result, 'timeout');
    assert.equal((await outside.tcp(address.lan[4], 80)).result, 'timeout');
  });

  test('connections that are translated can be accepted by their state', async () => {
    await net.load(`
nat:
  - { in: wan, to: wan:address, tcp: 80, do: dnat to 192.0.2.10 }
chains:
  forward: { policy: drop, rules: [{ state: dnat, do: accept }] }
`);
    assert.equal((await net.outside.tcp(address.wan[4], 80)).result, 'ok');
    assert.equal((await net.outside.tcp(address.inside[4], 80)).result, 'timeout');
  });

  test('a range of ports goes to a range of the same length one by one, and keeps its ports where they are the same', async () => {
    await net.load(`
nat:
  - { in: wan, to: wan:address, tcp: 8000-8001, do: dnat to 192.0.2.10 port 2000-2001 }
  - { in: wan, to: wan:address, port: 2000-3000, do: dnat to 192.0.2.10 }
`);
    for (const [port, inside] of [
      [8000, 2000],
      [8001, 2001],
      [2500, 2500],
    ] as const) {
      const { text } = await net.outside.tcp(address.wan[4], port);
      assert.equal(text?.split(' ')[3], String(inside));
    }
    assert.equal((await net.outside.udp(address.wan[4], 2500)).result, 'ok');
    assert.equal((await net.outside.tcp(address.wan[4], 3001)).result, 'refused');
  });

  test('redirect lands on the gate, also for addresses that are not its own, by a table and in both families', async () => {
    await net.load(`
tables: { listed: { entries: [198.51.100.2, 2001:db8:2::2] } }
nat:
  - { in: wan, to: [wan:address, lan:network], tcp: 25, from: <listed>, do: [redirect to 8025, accept] }
chains:
  filter: { policy: drop }
`);
    await inBoth(async (family) => {
      const { outside } = net;
      assert.match((await outside.tcp(address.wan[family], 25)).text ?? '', / 8025$/);
      assert.match((await outside.tcp(address.inside[family], 25)).text ?? '', / 8025$/);
      assert.equal((await outside.tcp(address.wan[family], 8025)).result, 'timeout');
    });
    await net.gate.space.nft('flush set inet postern t_listed_h4\nflush set inet postern t_listed_h6\n');
    await inBoth(async (family) => {
      assert.equal((await net.outside.tcp(address.wan[family], 25)).result, 'timeout');
    });
  });

  test('a host has a public address in both directions, and a network too', async () => {
    await net.load(`
nat:
  - { on: wan, do: map 192.0.2.11 to 203.0.113.99 }
  - { on: wan, do: map 192.0.2.0/28 to 203.0.113.0/28 }
  - { on: wan, do: map 2001:db8:1::/64 to 2001:db8:3::/64 }
`);
    const { outside, inside } = net;
    const from = async (to: string, source: string) => ends_((await inside.tcp(to, 80, { from: source })).text)[0];
    assert.deepEqual(ends_((await outside.tcp('203.0.113.99', 80)).text), [address.outside[4], address.second[4]]);
    assert.deepEqual(ends_((await outside.tcp('203.0.113.10', 80)).text), [address.outside[4], address.inside[4]]);
    assert.deepEqual(ends_((await outside.tcp('2001:db8:3::11', 80)).text), [address.outside[6], address.second[6]]);
    assert.equal(await from(address.outside[4], address.second[4]), '203.0.113.99');
    assert.equal(await from(address.outside[4], address.inside[4]), '203.0.113.10');
    assert.equal(await from(address.outside[6], address.inside[6]), '2001:db8:3::10');
    assert.equal(await outside.ping('203.0.113.99'), 'ok');
    assert.equal(await outside.ping('2001:db8:3::10'), 'ok');
  });

  test('connections are spread over the hosts of a table in turn, with and without another port', async () => {
    await net.load(`
tables: { web: { entries: [192.0.2.10, 192.0.2.11, 2001:db8:1::10, 2001:db8:1::11] } }
nat:
  - { in: wan, to: wan:address, tcp: 80, do: dnat to <web> round-robin }
  - { in: wan, to: wan:address, tcp: 8000, do: dnat to <web> round-robin port 8080 }
  - { in: wan, to: wan:address, tcp: 22, do: dnat to <web> source-hash }
`);
    const { outside } = net;
    for (const family of [4, 6] as const) {
      for (const port of [80, 8000]) {
        const hosts: string[] = [];
        for (let index = 0; index < 4; index += 1)
          hosts.push(ends_((await outside.tcp(address.wan[family], port)).text)[1]!);
        assert.equal(hosts[0], hosts[2]);
        assert.equal(hosts[1], hosts[3]);
        assert.deepEqual([hosts[0], hosts[1]].sort(), [address.inside[family], address.second[family]]);
      }
      const hashed = new Set<string>();
      for (let index = 0; index < 4; index += 1)
        hashed.add(ends_((await outside.tcp(address.wan[family], 22)).text)[1]!);
      assert.equal(hashed.size, 1);
    }
  });

  test('accept alone in nat: means no translation', async () => {
    await net.load(`
nat:
  - { out: wan, from: 192.0.2.11, do: accept }
  - { out: wan, from: lan:network, do: masquerade }
`);
    const from = address.second[4];
    assert.equal(ends_((await net.inside.tcp(address.outside[4], 80, { from })).text)[0], from);
    assert.equal(ends_((await net.inside.tcp(address.outside[4], 80)).text)[0], address.wan[4]);
  });
});
