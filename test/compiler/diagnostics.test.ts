/** What only the compiler can tell: said at the word, all at once, with what to write instead. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diagnosticsOf } from './compiled.js';

const inChain = (chain: string, rule: string) =>
  `tables: { t: {}, web: { entries: [192.0.2.7] } }\nchains:\n  ${chain}:\n    rules:\n      - ${rule}\n`;
const inNat = (rule: string) => `tables: { t: {}, web: { entries: [192.0.2.7] } }\nnat:\n  - ${rule}\n`;

const cases: readonly (readonly [policy: string, ...expected: string[]])[] = [
  [
    inChain('forward', '{ to: me, do: drop }'),
    '5:11 to can never match here: a forwarded packet is never for this host; take it out, or write the rule in another chain',
  ],
  [
    inChain('forward', '{ from: [me, wan:address], do: drop }'),
    '5:11 from can never match here: a forwarded packet is never from this host; take it out, or write the rule in another chain',
  ],
  [
    'chains:\n  ingress:\n    on: eth0\n    rules:\n      - { to: me, do: drop }\n',
    "5:11 to can never match here: in ingress the kernel can't be asked which addresses are its own; take it out, or write the rule in another chain",
  ],
  [inChain('input', '{ from: [192.0.2.1, not 192.0.2.0/24], do: drop }'), '5:11 the exceptions leave no address'],
  [inChain('input', '{ tcp: [22, not 1-100], do: drop }'), '5:11 the exceptions leave no port'],
  [inChain('input', '{ state: [new, not new], do: drop }'), '5:11 the exceptions leave no state'],
  [inChain('output', '{ user: [5, not 0-9], do: drop }'), '5:11 the exceptions leave no user'],
  [
    inChain('input', '{ tcp: 22, conns: 2 per source, do: drop }'),
    '5:20 conns bounds the connections that a rule accepts; end the rule with accept',
  ],
  [
    inChain('input', '{ limit: 1/10w, do: drop }'),
    "5:11 nft can't keep this rate; take a whole number a week, or a smaller burst",
  ],
  [
    inChain('input', '{ log: { first: 5, rate: 1/1s }, do: drop }'),
    '5:11 first and rate are two ways to log less; keep one of them',
  ],
  [
    inChain('forward', '{ fragment: true, mark: connection 1, do: drop }'),
    '5:27 a fragment has no connection yet; use the mark of the packet',
  ],
  [
    inNat('{ out: wan, do: [masquerade, accept] }'),
    '3:34 accept behind masquerade has no effect: the filter has decided before the source is translated; accept the packets in forward or output',
  ],
  [
    inNat('{ in: wan, tcp: 80-81, do: dnat to 192.0.2.1-192.0.2.5 port 8080-8081 }'),
    '3:32 a range of ports can be shifted to one address only',
  ],
  [
    inNat('{ in: wan, tcp: 80, do: dnat to <t> round-robin }'),
    '3:29 <t> has no hosts in the policy to translate to; list them as its entries; what is added while running is not used',
  ],
  [
    inNat('{ in: wan, tcp: 1000-9000, do: redirect to 11000-19000 }'),
    '3:36 8001 ports are too many to shift one by one; 4096 are the most',
  ],
  [
    'chains:\n  prerouting: { rules: [{ do: jump quick }] }\n  quick: { rules: [{ udp: 53, do: notrack }] }\n',
    '3:20 notrack works where no rule can jump from; write the rule in a base chain',
  ],
];

describe('what the compiler refuses', () => {
  for (const [policy, ...expected] of cases) {
    test(expected[0]!, () => assert.deepEqual(diagnosticsOf(policy), expected));
  }
});

test('everything that is wrong is told at once, in the order of the text', () => {
  const policy = `
nat:
  - { out: wan, do: [masquerade, accept] }
chains:
  input:
    rules:
      - { tcp: 22, conns: 2 per source, do: drop }
      - { state: [new, not new], do: drop }
`;
  assert.deepEqual(
    diagnosticsOf(policy).map((text) => text.slice(0, 4).trim()),
    ['3:34', '7:20', '8:11'],
  );
});

test('chains that are nested too deep for the kernel are refused at the rule that leads down', () => {
  const chains = Array.from(
    { length: 11 },
    (_, index) => `  c${index}: { rules: [{ from: <t>, to: <t>, do: jump c${index + 1} }] }\n`,
  );
  const policy = `tables: { t: {} }\nchains:\n  input: { rules: [{ do: jump c0 }] }\n${chains.join('')}  c11: { rules: [{ do: drop }] }\n`;
  assert.deepEqual(diagnosticsOf(policy), [
    '3:20 the chains below this rule are nested deeper than the 16 that the kernel takes; jump less deep, or to a chain of its own for some of the rules',
  ]);
});
