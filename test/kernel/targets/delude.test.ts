/** DELUDE against real clients and nmap. Needs root. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dark, families, host, network, opens, remembered, scanned, standing } from './trap-bed.js';

const policy = `version: 1
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 1025, do: delude }
  input:
    rules:
      - { state: [established, related], do: accept }
      - { tcp: 2025, do: delude }
  forward:
    rules:
      - { tcp: 2025, do: delude }
`;

test('DELUDE takes the connection and resets it, local and routed, and leaves nothing in conntrack', async (t) => {
  const made = await network(t, policy);
  for (const port of [1025, 2025]) {
    for (const address of families.flatMap((family) => [host[family], dark[family]])) {
      // The reset may be there before connect() returns.
      const script = `exec 3<>/dev/tcp/${address}/${port}; sleep 0.3; read -t 3 <&3; echo hello >&3`;
      const { stderr } = await made.client.start('bash', ['-c', script]);
      assert.match(String(stderr), /reset by peer|Broken pipe/, `${address} ${port}`);
      assert.deepEqual(await standing(made, port), []);
      assert.equal(await remembered(made, port), '');
    }
  }
});

test('nmap sees ports of DELUDE as open, and as closed when it opens nothing', async (t) => {
  const made = await network(t, policy);
  await scanned(t, made, [1025, 2025], (_, scan) => (opens(scan) ? 'open' : 'closed'));
});
