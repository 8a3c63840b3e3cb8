/** ipp2p with a daemon's classifier over real connections. Needs root. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { classifyP2p } from '../../src/extensions/models/ipp2p.js';
import { packetCopies } from '../../src/kernel/packet-copies.js';
import { openPackets } from '../../src/kernel/packets.js';
import { recognise } from '../../src/services/ipp2p/duty.js';
import { ipp2p } from '../../src/services/ipp2p/service.js';
import { liveBench } from './engine-fixture.js';
import { countingPolicy, matchHost } from './match-host.js';
import { link, namespace, until } from './namespace.js';
import { udp } from './scratch-world.js';

const host = await matchHost({ after });

test('what the daemon recognises it marks: later packets of the connection match, of others none', async (t) => {
  const [client, firewall] = [await namespace(t), await namespace(t)];
  await link(
    [client, 'out', '198.51.100.2/24', '2001:db8::2/64'],
    [firewall, 'wan', '198.51.100.1/24', '2001:db8::1/64'],
  );
  const { engine } = await liveBench(t, firewall, countingPolicy('input', ['ipp2p: dc', 'ipp2p: [bit, soul]']));
  const copies = packetCopies((options) => openPackets({ ...options, namespace: firewall.name }));
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const service = ipp2p.create(true, { engine, copies, log, now: Date.now });
  await service.start();
  t.after(async () => {
    await service.stop();
    await copies.close();
  });
  const counts = async (): Promise<number[]> => {
    const listed = await firewall.list('list', 'counters');
    return ['r0', 'r1'].map((name) => Number(new RegExp(`counter c_${name} \\{\\s*packets (\\d+)`).exec(listed)?.[1]));
  };
  for (const [address, listen] of [
    ['198.51.100.1', 'TCP4-LISTEN:2222,reuseaddr,fork'],
    ['[2001:db8::1]', 'TCP6-LISTEN:2223,reuseaddr,fork'],
  ] as const) {
    firewall.start('socat', ['-u', listen, 'OPEN:/dev/null']);
    const port = listen.includes('2222') ? 2222 : 2223;
    const before = await counts();
    // A line, and after a while another one of the same connection: that one finds the mark.
    await until('the connection to be recognised', async () => {
      await client
        .run('bash', '-c', `{ printf '$Lock EXT|'; sleep 0.5; printf 'more'; } | socat -t1 - TCP:${address}:${port}`)
        .catch(() => {});
      const [dc = 0, others = 0] = await counts();
      assert.equal(others, before[1], 'another protocol');
      return dc > before[0]!;
    });
  }
  const [recognised] = service.metrics!();
  assert.ok(recognised!.samples.some(({ labels, value }) => labels.protocol === 'dc' && value > 0));
  const quiet = await counts();
  await client.run('bash', '-c', `{ printf 'hello'; sleep 0.3; printf 'more'; } | socat -t1 - TCP:198.51.100.1:2222`);
  assert.deepEqual(await counts(), quiet);
});

test('the kernel takes at once what has fixed bytes, and asks of the rest, once a packet', async () => {
  await host.rules('input', ['ipp2p: [bit, gnu, edk, apple, waste]', 'ipp2p: [dc, kazaa]']);
  const seen = async (payload: Buffer) => {
    const { hits, copies } = await host.seen(udp('203.0.113.5', '192.0.2.1', 999, payload));
    return { hits, copies: copies.map((copy) => recognise(Buffer.from(copy.packet))?.number) };
  };
  const query = Buffer.from('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe');
  assert.deepEqual(await seen(query), { hits: [1, 0], copies: [] });
  assert.deepEqual(await seen(Buffer.from('$SR joe a file|')), { hits: [0, 0], copies: [2] });
  assert.deepEqual(await seen(Buffer.from('nothing of theirs')), { hits: [0, 0], copies: [undefined] });
});

test('the kernel recognises nothing that the classifier would not', async () => {
  await host.rules('input', ['ipp2p: [bit, gnu, edk, apple, waste]']);
  const heads = ['e397', 'e420', 'e400', 'e428', 'e440', '00000405', '474e44', '64313a6164323a696432303a'];
  for (const head of heads) {
    for (const length of [9, 10, 12, 23, 24, 27, 32, 34, 35, 36, 48, 57, 203]) {
      const payload = Buffer.alloc(length, 0x78);
      payload.write(head, 'hex');
      const [hit] = await host.hits(udp('203.0.113.5', '192.0.2.1', 999, payload));
      if (hit === 1) assert.notEqual(classifyP2p('udp', payload), undefined, `${head}, ${length} bytes`);
      else assert.ok(classifyP2p('udp', payload) === undefined || head === 'e428', `${head}, ${length} bytes`);
    }
  }
});

test('where connections are accepted above, a warning says that later packets never come', async () => {
  const plan = await host.rules('input', ['ipp2p: bit']);
  assert.equal(plan.warnings.length, 0);
  await assert.rejects(host.rules('input', ['ipp2p: napster']), /"napster"/);
});
