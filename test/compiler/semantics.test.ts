/** Random policies: what they compile to does with random packets what the policy says, and counts each rule once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withEntries } from '../../src/compiler/entries.js';
import { planOf, policyOf } from './compiled.js';
import { evaluate, type Packet } from './evaluate.js';
import { judge } from './judge.js';

const addresses4 = ['192.0.2.1', '192.0.2.77', '192.0.2.200', '198.51.100.1', '203.0.113.9'];
const addresses6 = ['2001:db8::1', '2001:db8:1::7', '2001:db8:2::9'];
const devices = ['lan', 'wan', 'dmz'];
const ports = [22, 53, 80, 443];

const member = fc.constantFrom(
  ...['192.0.2.1', '192.0.2.0/25', '192.0.2.70-192.0.2.210', '198.51.100.0/24', '2001:db8::/32', '2001:db8:1::7'],
  ...['<plain>', '<holes>', '<empty>', '<large>', '<vast>', 'me'],
);
const list = (one: fc.Arbitrary<string>, not: fc.Arbitrary<string> = one) =>
  fc
    .array(fc.oneof({ weight: 3, arbitrary: one }, { weight: 1, arbitrary: not.map((text) => `not ${text}`) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((members) => (members.length === 1 ? members[0]! : `[${members.join(', ')}]`));
const device = fc.constantFrom(...devices);
const port = fc.oneof(fc.constantFrom(...ports.map(String)), fc.constantFrom('1-100', '400-500'));
const portList = fc.oneof(list(port), fc.constant('any'));

/** Keys of a rule; those of a group exclude each other. */
const transport = fc.oneof(
  portList.map((ports) => `tcp: ${ports}`),
  portList.map((ports) => `udp: ${ports}`),
  portList.map((ports) => `port: ${ports}`),
  list(fc.constantFrom('tcp', 'udp', 'icmp', 'gre')).map((protocols) => `proto: ${protocols}`),
  fc.constantFrom(
    'icmp: any',
    'icmp: echo-request',
    'icmp: not echo-request',
    'icmp: [unreach, echo-request]',
    'icmp: too-big',
  ),
  fc.constantFrom('flags: S/SA', 'flags: [A/A, R/R]', 'flags: none/FSRPAU'),
  fc.tuple(portList, portList).map(([dport, sport]) => `port: ${dport}, sport: ${sport}`),
);
const key = fc.oneof(
  list(member).map((members) => `from: ${members}`),
  list(member).map((members) => `to: ${members}`),
  list(device).map((names) => `in: ${names}`),
  list(device).map((names) => `out: ${names}`),
  list(device).map((names) => `via: ${names}`),
  transport,
  fc.constantFrom('family: ipv4', 'family: ipv6'),
  list(fc.constantFrom('new', 'established', 'related', 'invalid', 'untracked')).map((states) => `state: ${states}`),
);
const sideEffect = fc.constantFrom(
  'count',
  'add source to <plain>',
  'add destination to <empty> for 5m',
  'delete source from <empty>',
);
const verdict = fc.constantFrom('accept', 'drop', 'return', 'jump one', 'goto one', 'jump two');
const inUserChain = fc.constantFrom('accept', 'drop', 'return');
const actions = (end: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.array(sideEffect, { maxLength: 2 }), fc.option(end, { nil: undefined }))
    .map(([before, last]) => [...before, ...(last === undefined ? [] : [last])])
    .map((all) => (all.length === 0 ? 'count' : `[${all.join(', ')}]`));
const rule = (end: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.uniqueArray(key, { maxLength: 3, selector: (text) => groupOf(text) }), actions(end))
    .map(([keys, does]) => `{ ${[...keys, `do: ${does}`].join(', ')} }`);
const groupOf = (text: string) => {
  const word = text.slice(0, text.indexOf(':'));
  return ['tcp', 'udp', 'port', 'proto', 'icmp', 'flags'].includes(word) ? 'transport' : word;
};
const rules = (end: fc.Arbitrary<string>) => fc.array(rule(end), { minLength: 1, maxLength: 5 });

const head = `
hygiene: off
tables:
  plain: { entries: [192.0.2.1, 198.51.100.0/24, 2001:db8::/48] }
  holes: { entries: [192.0.2.0/24, not 192.0.2.64/26, 192.0.2.77, 2001:db8::/32, not 2001:db8:1::/48] }
  empty: {}
  large: { size: 200000, entries: [192.0.0.0/4, not 198.48.0.0/13, 198.51.100.0/30, not 192.0.2.64/26, 192.0.2.77, 2000::/3, not 2001:db8:1::/48] }
  vast: { size: 200000, entries: [0.0.0.0/1, 203.0.113.0/24, not 203.0.113.9, 192.0.2.1, 2001:db8:2::/48, 2001:db8::/127] }
`;
const policyText = fc
  .tuple(rules(verdict), rules(inUserChain), rules(inUserChain), fc.constantFrom('accept', 'drop'))
  .map(([filter, one, two, policy]) => {
    const lines = (list: readonly string[]) => list.map((text) => `      - ${text}\n`).join('');
    return `${head}chains:\n  filter:\n    policy: ${policy}\n    rules:\n${lines(filter)}  one:\n    rules:\n${lines(one)}  two:\n    rules:\n${lines(two)}`;
  });

const packet = (hook: 'input' | 'forward' | 'output'): fc.Arbitrary<Packet> =>
  fc.constantFrom<4 | 6>(4, 6).chain((family) => {
    const address = fc.constantFrom(...(family === 4 ? addresses4 : addresses6));
    return fc.record({
      family: fc.constant(family),
      source: address,
      destination: address,
      toMe: fc.constant(hook === 'input'),
      fromMe: fc.constant(hook === 'output'),
      ...(hook !== 'output' && { in: device }),
      ...(hook !== 'input' && { out: device }),
      protocol: fc.constantFrom(6, 17, family === 4 ? 1 : 58, 47),
      sport: fc.constantFrom(...ports),
      dport: fc.constantFrom(...ports),
      flags: fc.constantFrom(0, 2, 0x12, 0x10, 4, 0x29),
      icmp: fc.constantFrom(
        { type: 8, code: 0 },
        { type: 3, code: 4 },
        { type: 3, code: 1 },
        { type: 128, code: 0 },
        { type: 2, code: 0 },
      ),
      state: fc.constantFrom<Packet['state']>('new', 'established', 'related', 'invalid', 'untracked'),
    });
  });

for (const hook of ['input', 'forward', 'output'] as const) {
  test(`what a random policy compiles to treats random packets in ${hook} as the policy says`, () => {
    let judged = 0;
    const property = fc.property(
      policyText,
      fc.array(packet(hook), { minLength: 20, maxLength: 20 }),
      (text, packets) => {
        const plan = compiledOrRefused(text);
        if (plan === undefined) return;
        const policy = policyOf(text);
        const ruleset = withEntries(plan);
        const idOf = new Map(
          plan.manifest.objects.flatMap(({ name, role }) => (role.kind === 'rule' ? [[name, role.text]] : [])),
        );
        for (const one of packets) {
          const expected = judge(policy, hook, one);
          const { verdict, counts, changes } = evaluate(ruleset, hook, one);
          const taken = Object.entries(counts).flatMap(([name, count]) => {
            const rule = idOf.get(name);
            return rule === undefined ? [] : Array<string>(count).fill(rule);
          });
          const tables = changes.map((change) => change.replace(/^([+-])@t_(.*)_h[46] .*/, '$1$2'));
          const told = `${text}\n${JSON.stringify(one)}`;
          assert.equal(verdict, expected.verdict, told);
          assert.deepEqual(taken.sort(), [...expected.taken].sort(), told);
          assert.deepEqual(tables, expected.changes, told);
          judged += 1;
        }
      },
    );
    fc.assert(property, { numRuns: 150 });
    assert.ok(judged > 1000, `only ${judged} packets were judged`);
  });
}

/** Some random policies can't be: a contradiction is refused by the reader or the compiler. */
function compiledOrRefused(text: string): ReturnType<typeof planOf> | undefined {
  try {
    return planOf(text);
  } catch (error) {
    assert.match(String(error), /^Error: \d+:\d+ /);
    return undefined;
  }
}
