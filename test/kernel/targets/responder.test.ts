/** On which way the responder's answers go, with real clients. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { link } from '../namespace.js';
import { families, host, network } from './trap-bed.js';

const policy = `version: 1
chains:
  input:
    rules:
      - { tcp: 2024, do: { tarpit: { mode: honeypot } } }
`;

test('what the daemon answers goes back as it came, or by the route when that leads elsewhere', async (t) => {
  const { client, firewall } = await network(t, policy);
  await link(
    [client, 'side', '203.0.113.2/24', '2001:db8:3::2/64'],
    [firewall, 'aside', '203.0.113.1/24', '2001:db8:3::1/64'],
  );
  for (const space of [client, firewall]) {
    await space.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0');
  }
  // The firewall has no route to `far` but by the other link, whichever link they come by.
  const far = { 4: '203.0.113.2', 6: '2001:db8:3::2' } as const;
  const ports = { near: 4024, far: 4025 } as const;
  const names = (['out', 'side'] as const).flatMap((device) =>
    (['near', 'far'] as const).map((who) => ({ device, who })),
  );
  const counters = names.map(({ device, who }) => `counter ${device}_${who} { }`).join('\n');
  const rules = names.map(
    ({ device, who }) => `iifname ${device} tcp sport 2024 tcp dport ${ports[who]} counter name ${device}_${who}`,
  );
  await client.nft(`table inet n { ${counters}
    chain c { type filter hook prerouting priority -300; ${rules.join('\n')}
    }
  }
`);
  const arrived = async (device: string, who: keyof typeof ports): Promise<number> =>
    Number(/packets (\d+)/.exec(await client.list('list', 'counter', 'inet', 'n', `${device}_${who}`))?.[1]);
  const near = { 4: '192.0.2.2', 6: '2001:db8::2' } as const;
  for (const family of families) {
    for (const [who, sources, device] of [
      ['near', near, 'out'],
      ['far', far, 'side'],
    ] as const) {
      const before = await arrived(device, who);
      await client.run('nc', '-z', '-w', '5', '-s', sources[family], '-p', String(ports[who]), host[family], '2024');
      assert.ok((await arrived(device, who)) > before, `IPv${family}: answers to ${who} come by ${device}`);
    }
  }
  assert.deepEqual([await arrived('side', 'near'), await arrived('out', 'far')], [0, 0]);
});
