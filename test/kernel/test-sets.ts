/** A table with a set of every shape, as nft text and as the manifest that names it. */

import type { Manifest, ManifestSet } from '../../src/compiler/plan.js';

export const testSets = `
table inet t {
  set hosts { type ipv4_addr; size 4; flags timeout; }
  set counted { type ipv4_addr; size 70000; flags dynamic; counter; }
  set prefixes { type ipv4_addr; size 1000; flags interval,timeout; }
  set prefixes6 { type ipv6_addr; size 1000; flags interval,timeout; }
  set pairs { type ipv4_addr . inet_service; size 1000; flags interval,timeout; }
  set names { type ifname . ipv4_addr . inet_proto . inet_service; size 1000; }
  set six { type ipv6_addr; size 1000; flags timeout; timeout 1h; }
  set ports { type inet_service; size 1000; }
  counter seen { packets 67 bytes 12345 }
  quota guest { over 10 mbytes used 1 mbytes }
}`;

function manifestSet(name: string, key: string, shape: Partial<ManifestSet> = {}): ManifestSet {
  return {
    table: 'inet',
    name,
    key: key.split(' . '),
    interval: false,
    timeout: false,
    counter: false,
    size: 1000,
    shape: '',
    role: { kind: 'extension', extension: 'test', name, purpose: 'test' },
    ...shape,
  };
}

const role = { kind: 'extension', extension: 'test', name: 'test', purpose: 'test' } as const;
export const testManifest: Manifest = {
  format: 1,
  digest: '',
  tables: [{ family: 'inet', name: 't' }],
  sets: [
    manifestSet('hosts', 'ipv4_addr', { timeout: true, size: 4 }),
    manifestSet('counted', 'ipv4_addr', { counter: true, size: 70_000 }),
    manifestSet('prefixes', 'ipv4_addr', { interval: true, timeout: true }),
    manifestSet('prefixes6', 'ipv6_addr', { interval: true, timeout: true }),
    manifestSet('pairs', 'ipv4_addr . inet_service', { interval: true, timeout: true }),
    manifestSet('names', 'ifname . ipv4_addr . inet_proto . inet_service'),
    manifestSet('six', 'ipv6_addr', { timeout: true }),
    manifestSet('ports', 'inet_service'),
  ],
  objects: [
    { table: 'inet', kind: 'counter', name: 'seen', role },
    { table: 'inet', kind: 'quota', name: 'guest', role },
  ],
  chains: [],
  marks: [],
  groups: [],
};
