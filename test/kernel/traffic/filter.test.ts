/** What compiled filters do to real traffic, in both families. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { address, type Bed, bed, inBoth } from './bed.js';

const families = [4, 6] as const;

describe('filters', () => {
  let net: Bed;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    net = await bed({ after: (end) => ends.push(end) });
    await Promise.all([net.outside, net.gate, net.inside].map((host) => host.serve(22, 53, 80, 81, 443)));
  });
  after(async () => {
    for (const end of ends) await end();
  });
  const fresh = async () => {
    for (const { space } of [net.outside, net.gate, net.inside]) {
      await space.run('ip', 'neigh', 'flush', 'all');
      await space.run('conntrack', '-F');
    }
  };

  test('policy drop lets everything out and nothing in, and IPv6 and loopback live', async () => {
    await net.load('chains:\n  input: { policy: drop }\n');
    await fresh();
    await inBoth(async (family) => {
      const { gate, outside } = net;
      assert.equal((await gate.tcp(address.outside[family], 80)).result, 'ok');
      assert.equal((await gate.udp(address.outside[family], 53)).result, 'ok');
      assert.equal(await gate.ping(address.outside[family]), 'ok');
      assert.equal((await gate.tcp(address.outside[family], 9)).result, 'refused');
      assert.equal((await gate.tcp(address.wan[family], 80)).result, 'ok');
      assert.equal((await outside.tcp(address.wan[family], 80)).result, 'timeout');
      assert.equal((await outside.udp(address.wan[family], 53)).result, 'timeout');
      assert.equal(await outside.ping(address.wan[family]), 'timeout');
    });
  });

  test('without hygiene policy drop cuts IPv6 and loopback: the messages are what keeps them alive', async () => {
    await net.load('hygiene: off\nchains:\n  input: { policy: drop }\n');
    await fresh();
    assert.equal((await net.gate.tcp(address.outside[4], 80)).result, 'ok');
    assert.notEqual((await net.gate.tcp(address.outside[6], 80)).result, 'ok');
    assert.equal((await net.gate.tcp('127.0.0.1', 80)).result, 'timeout');
  });

  test('output that drops still speaks to its neighbours', async () => {
    await net.load(`
chains:
  output:
    policy: drop
    rules:
      - { tcp: 80, do: accept }
`);
    await fresh();
    await inBoth(async (family) => {
      assert.equal((await net.gate.tcp(address.outside[family], 80)).result, 'ok');
      assert.equal((await net.gate.udp(address.outside[family], 53)).result, 'denied');
      assert.equal((await net.outside.tcp(address.wan[family], 443)).result, 'ok');
    });
  });

  test('a rule without a direction in filter holds in all of input, forward and output', async () => {
    await net.load(`
chains:
  filter:
    policy: block
    rules:
      - { out: any, tcp: 80, do: accept }
      - { udp: 53, do: accept }
`);
    await fresh();
    await inBoth(async (family) => {
      const { gate, outside, inside } = net;
      assert.equal((await inside.tcp(address.outside[family], 80)).result, 'ok');
      assert.equal((await outside.tcp(address.inside[family], 80)).result, 'ok');
      assert.equal((await gate.tcp(address.outside[family], 80)).result, 'ok');
      assert.equal((await outside.tcp(address.wan[family], 80)).result, 'timeout');
      assert.equal((await inside.tcp(address.outside[family], 81)).result, 'timeout');
      assert.equal((await outside.udp(address.wan[family], 53)).result, 'ok');
      assert.equal((await inside.udp(address.outside[family], 53)).result, 'ok');
      assert.equal(await inside.ping(address.outside[family]), 'timeout');
    });
  });

  test('a block answers TCP with a reset and UDP with an error, and is silent to a ping', async () => {
    await net.load(`
block_policy: return
chains:
  filter:
    policy: block
    rules:
      - { in: wan, tcp: 80, do: accept }
`);
    await fresh();
    await inBoth(async (family) => {
      const { outside } = net;
      for (const to of [address.wan[family], address.inside[family]]) {
        assert.equal((await outside.tcp(to, 80)).result, 'ok');
        assert.equal((await outside.tcp(to, 443)).result, 'refused');
        assert.equal((await outside.udp(to, 53)).result, 'refused');
        assert.equal(await outside.ping(to), 'timeout');
      }
    });
  });

  test('reject answers with the error that was asked for', async () => {
    await net.load(`
chains:
  input:
    rules:
      - { tcp: 22, do: reject with tcp-reset }
      - { tcp: 80, do: reject with host }
      - { tcp: 81, do: reject with net }
      - { tcp: 443, do: reject with admin }
`);
    await inBoth(async (family) => {
      const to = address.wan[family];
      assert.equal((await net.outside.tcp(to, 22)).result, 'refused');
      // An ICMP error that comes while connect(2) still runs is kept for the next SYN, a second later.
      const patient = { withinMs: 2500 };
      for (const port of [80, 81]) assert.equal((await net.outside.tcp(to, port, patient)).result, 'unreachable');
      assert.ok(['unreachable', 'denied'].includes((await net.outside.tcp(to, 443, patient)).result));
    });
  });

  test("an address of an interface is that interface's, me is any of this host", async () => {
    await net.load(`
interfaces: { uplink: wan }
chains:
  filter:
    policy: drop
    rules:
      - { in: wan, to: uplink:address, tcp: 22, do: accept }
      - { to: me, tcp: 80, do: accept }
      - { from: [uplink:address], do: accept }
`);
    await fresh();
    await inBoth(async (family) => {
      const { outside } = net;
      assert.equal((await outside.tcp(address.wan[family], 22)).result, 'ok');
      assert.equal((await outside.tcp(address.lan[family], 22)).result, 'timeout');
      assert.equal((await outside.tcp(address.lan[family], 80)).result, 'ok');
      assert.equal((await outside.tcp(address.inside[family], 80)).result, 'timeout');
    });
  });

  test('networks of interfaces are the hosts behind them', async () => {
    await net.load(`
chains:
  forward:
    policy: drop
    rules:
      - { in: lan, out: wan, from: lan:network, to: wan:network, port: [22, 53], do: accept }
`);
    await inBoth(async (family) => {
      const { inside, outside } = net;
      assert.equal((await inside.tcp(address.outside[family], 22)).result, 'ok');
      assert.equal((await inside.udp(address.outside[family], 53)).result, 'ok');
      assert.equal((await inside.tcp(address.outside[family], 80)).result, 'timeout');
      assert.equal((await outside.tcp(address.inside[family], 22)).result, 'timeout');
    });
  });

  test('a table with exceptions holds its members and not the exceptions', async () => {
    await net.load(`
tables:
  clients: { entries: [192.0.2.0/24, not 192.0.2.11, 2001:db8:1::/64, not 2001:db8:1::11] }
chains:
  forward:
    policy: drop
    rules:
      - { from: <clients>, tcp: 80, do: accept }
      - { from: [lan:network, not <clients>], tcp: 81, do: accept }
`);
    await inBoth(async (family) => {
      const { inside } = net;
      const to = address.outside[family];
      const from = { from: address.second[family] };
      assert.equal((await inside.tcp(to, 80)).result, 'ok');
      assert.equal((await inside.tcp(to, 80, from)).result, 'timeout');
      assert.equal((await inside.tcp(to, 81, from)).result, 'ok');
      assert.equal((await inside.tcp(to, 81)).result, 'timeout');
    });
  });

  test('fragments can be dropped before they are put together; without the rule they pass', async () => {
    const policy = (rule: string) => `
chains:
  input: { policy: drop, rules: [${rule} { icmp: echo-request, do: accept }] }
  forward: { policy: drop, rules: [{ icmp: echo-request, do: accept }] }
`;
    await net.load(policy(''));
    await inBoth(async (family) => {
      assert.equal(await net.outside.ping(address.wan[family], 3000), 'ok');
      assert.equal(await net.outside.ping(address.inside[family], 3000), 'ok');
    });
    await net.load(policy('{ in: wan, fragment: true, do: drop },'));
    await inBoth(async (family) => {
      assert.equal(await net.outside.ping(address.wan[family], 3000), 'timeout');
      assert.equal(await net.outside.ping(address.wan[family], 100), 'ok');
      assert.equal(await net.outside.ping(address.inside[family], 3000), 'ok');
    });
  });

  test('errors that belong to a connection pass: path MTU is found', async () => {
    const policy = (state: string) => `
chains:
  forward:
    policy: drop
    rules:
      - { state: ${state}, do: accept }
      - { in: lan, do: accept }
  output:
    policy: drop
    rules:
      - { state: ${state}, do: accept }
`;
    await net.gate.space.run('ip', 'link', 'set', 'wan', 'mtu', '1300');
    try {
      for (const [state, result] of [
        ['[established, related]', 'ok'],
        ['established', 'timeout'],
      ] as const) {
        await net.load(policy(state));
        for (const family of families) {
          await fresh();
          await net.inside.space.run('ip', 'route', 'flush', 'cache');
          await net.inside.space.run('ip', '-6', 'route', 'flush', 'cache');
          const hold = `mtu-${state}-${family}`;
          assert.equal((await net.inside.tcp(address.outside[family], 80, { hold })).result, 'ok');
          assert.equal((await net.inside.upload(hold, 60_000)).result, result, `IPv${family} with ${state}`);
          await net.inside.close(hold);
        }
      }
    } finally {
      await net.gate.space.run('ip', 'link', 'set', 'wan', 'mtu', '1500');
    }
  });

  test('accept takes connections from their beginning: a state that is deleted stays cut, but not with flags any', async () => {
    for (const [flags, result] of [
      ['', 'timeout'],
      ['flags: any, ', 'ok'],
    ] as const) {
      await net.load(`chains:\n  forward: { policy: drop, rules: [{ tcp: 80, ${flags}do: accept }] }\n`);
      for (const family of families) {
        const hold = `cut-${flags}-${family}`;
        assert.equal((await net.inside.tcp(address.outside[family], 80, { hold })).result, 'ok');
        assert.equal((await net.inside.upload(hold, 10)).result, 'ok');
        await net.gate.space.run('conntrack', '-F');
        assert.equal((await net.inside.upload(hold, 20)).result, result);
        await net.inside.close(hold);
      }
    }
  });

  test('a ban above the state rule ends connections, one below it does not', async () => {
    for (const [ban, state, result] of [
      ['- { from: <banned>, do: drop }', '- { state: [established, related], do: accept }', 'timeout'],
      ['- { state: [established, related], do: accept }', '- { from: <banned>, do: drop }', 'ok'],
    ] as const) {
      await net.load(`
tables: { banned: { timeout: 1h } }
chains:
  forward:
    policy: drop
    rules:
      ${ban}
      ${state}
      - { tcp: 80, do: accept }
`);
      await inBoth(async (family) => {
        const hold = `ban-${result}-${family}`;
        assert.equal((await net.inside.tcp(address.outside[family], 80, { hold })).result, 'ok');
        await net.gate.space.nft(
          `add element inet postern t_banned_h${family} { ${address.inside[family]} timeout 1h }`,
        );
        assert.equal((await net.inside.upload(hold, 10)).result, result);
        assert.equal((await net.inside.tcp(address.outside[family], 80)).result, 'timeout');
        await net.inside.close(hold);
      });
    }
  });

  test('a rule adds sources to a table for a time, and what the table says holds', async () => {
    await net.load(`
tables: { noisy: {} }
chains:
  input:
    rules:
      - { from: <noisy>, do: drop }
      - { tcp: 81, do: [add source to <noisy> for 2s, drop] }
`);
    await inBoth(async (family) => {
      const to = address.wan[family];
      assert.equal((await net.outside.tcp(to, 80)).result, 'ok');
      assert.equal((await net.outside.tcp(to, 81)).result, 'timeout');
      assert.equal((await net.outside.tcp(to, 80)).result, 'timeout');
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.equal((await net.outside.tcp(to, 80)).result, 'ok');
    });
  });

  test('conns lets so many connections of a source be open, and others when those have closed', async () => {
    await net.load(`
chains:
  forward:
    policy: drop
    rules:
      - { in: lan, tcp: 80, conns: 2 per source, do: accept }
`);
    for (const family of families) {
      await fresh();
      const to = address.outside[family];
      const open: string[] = [];
      for (const name of ['a', 'b', 'c', 'd']) {
        open.push((await net.inside.tcp(to, 80, { hold: name })).result);
      }
      assert.deepEqual(open, ['ok', 'ok', 'timeout', 'timeout']);
      assert.equal((await net.inside.tcp(to, 80, { from: address.second[family] })).result, 'ok');
      for (const name of ['a', 'b']) await net.inside.close(name);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await net.gate.space.run('conntrack', '-F');
      assert.equal((await net.inside.tcp(to, 80)).result, 'ok');
    }
  });

  test('limit lets so many pass, for all together or for each source', async () => {
    await net.load(`
chains:
  input:
    policy: drop
    rules:
      - { in: wan, icmp: echo-request, limit: 3/1m, do: accept }
      - { in: lan, icmp: echo-request, limit: 2/1m per source, do: accept }
`);
    const answered = async (count: number, attempt: () => Promise<string>) => {
      let ok = 0;
      for (let sent = 0; sent < count; sent += 1) if ((await attempt()) === 'ok') ok += 1;
      return ok;
    };
    const quick = ['-W', '0.3'] as const;
    assert.equal(await answered(3, () => net.outside.ping(address.wan[4], 8, ...quick)), 3);
    assert.equal(await answered(2, () => net.outside.ping(address.wan[6], 8, ...quick)), 0);
    for (const family of families) {
      assert.equal(await answered(4, () => net.inside.ping(address.lan[family], 8, ...quick)), 2);
      const from = ['-I', address.second[family]] as const;
      assert.equal(await answered(4, () => net.inside.ping(address.lan[family], 8, ...quick, ...from)), 2);
    }
  });

  test('a log with a bound copies so many packets, with its name, to group 5', async () => {
    await net.load(`
chains:
  input:
    rules:
      - { in: wan, udp: 9999, log: { name: nosy, first: 5 }, do: drop }
`);
    const capture = net.gate.space.start('tcpdump', ['-i', 'nflog:5', '-n', '-U', '-l', '--immediate-mode']);
    await new Promise<void>((resolve) => {
      capture.stderr!.on('data', (text) => String(text).includes('listening') && resolve());
    });
    await inBoth(async (family) => {
      await Promise.all([1, 2, 3, 4].map(() => net.outside.udp(address.wan[family], 9999)));
    });
    // The kernel sends copies on when it has a hundred, or after a second.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    capture.kill('SIGINT');
    const { stdout } = await capture;
    assert.equal(
      String(stdout)
        .split('\n')
        .filter((line) => line.includes('9999')).length,
      5,
      String(stdout),
    );
  });

  test('an ingress chain sees packets of its device before anything else, with the same tables', async () => {
    await net.load(`
tables: { banned: { entries: [198.51.100.2, 2001:db8:2::2] } }
chains:
  ingress:
    on: wan
    rules:
      - { from: <banned>, tcp: 80, do: drop }
      - { tcp: 81, do: reject with tcp-reset }
      - { fragment: true, do: drop }
`);
    await inBoth(async (family) => {
      assert.equal((await net.outside.tcp(address.wan[family], 80)).result, 'timeout');
      assert.equal((await net.outside.tcp(address.inside[family], 80)).result, 'timeout');
      assert.equal((await net.outside.tcp(address.wan[family], 81)).result, 'refused');
      assert.equal((await net.inside.tcp(address.lan[family], 80)).result, 'ok');
      assert.equal(await net.outside.ping(address.wan[family], 3000), 'timeout');
      assert.equal(await net.outside.ping(address.wan[family], 100), 'ok');
    });
  });

  test('notrack leaves no connection behind, and its other actions still decide', async () => {
    await net.load(`
chains:
  prerouting:
    rules:
      - { in: lan, udp: 53, do: notrack }
      - { in: wan, udp: any, sport: 53, do: notrack }
  forward:
    policy: drop
    rules:
      - { state: untracked, do: accept }
`);
    await net.gate.space.run('conntrack', '-F');
    for (const family of families) {
      assert.equal((await net.inside.udp(address.outside[family], 53)).result, 'ok');
      const { stdout } = await net.gate.space.run('conntrack', '-L', '-f', family === 4 ? 'ipv4' : 'ipv6');
      assert.doesNotMatch(stdout, /dport=53/);
    }
  });
});
