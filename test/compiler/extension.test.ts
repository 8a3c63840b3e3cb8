/** What an extension may ask for, and how its words are woven with those of the core. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { actionWord, type Extension, matchWord, sectionWord } from '../../src/extensions/extension.js';
import { does, type Line } from '../../src/extensions/fragment.js';
import {
  addTo,
  counter,
  drop,
  ip,
  jump,
  limit,
  mangle,
  match,
  matchBits,
  matchNot,
  meta,
  setMarkBits,
  setRef,
} from '../../src/nft/build.js';
import type { Statement } from '../../src/nft/model.js';
import { diagnosticsOf, planOf, rulesOf } from './compiled.js';

const parity = { original: 'none', runs: 'kernel', standing: 'exact', checked: 'by these tests' } as const;
const described = (name: string) => ({ name, description: 'For tests.' });

/** A match of one line, one of two ways, one that decides in a chain, and one that remembers. */
const looks: Extension = {
  name: 'looks',
  summary: 'Matches for tests.',
  parity,
  matches: [
    matchWord(
      { ...described('ttl'), schema: Type.Integer(), negatable: true },
      {
        compile: (ttl) => ({ anyOf: [{ family: 4, statements: [match(ip('ttl'), ttl)] }] }),
        compileNot: (ttl) => ({ anyOf: [{ family: 4, statements: [matchNot(ip('ttl'), ttl)] }] }),
      },
    ),
    matchWord(
      { ...described('cpu'), schema: Type.Integer(), negatable: true },
      { compile: (cpu) => ({ anyOf: [{ statements: [match(meta('cpu'), cpu)] }] }) },
    ),
    matchWord(
      { ...described('odd'), schema: Type.Boolean(), negatable: true },
      {
        compile: (_, site) => {
          const field = site.markBits('packet', 'odd', 2);
          const walk = site.chain('walk', [{ statements: [setMarkBits('meta', field.mask, field.mask)] }]);
          return {
            decide: (matched): Line[] => [
              { statements: [jump(walk)] },
              { statements: [matchBits(meta('mark'), field.mask, field.mask), ...matched] },
            ],
          };
        },
      },
    ),
    matchWord({ ...described('seen'), schema: Type.Integer(), everyPacket: true } as never, {
      everyPacket: true,
      compile: (rate, site) => {
        const request = {
          role: { kind: 'extension', extension: 'looks', name: site.rule.id, purpose: 'seen', family: 4 },
          key: { type: ['ipv4_addr'] },
          flags: ['dynamic'],
          size: 100,
          variant: String(rate),
        } as const;
        const set = site.set(request);
        const stmt: Statement[] = [limit({ rate: Number(rate), per: 'second' })];
        return {
          stateful: true,
          families: [4],
          decide: (matched) => [
            { family: 4, statements: [addTo(set, ip('saddr'), { stmt }), ...matched] },
            { family: 4, statements: [matchNot(ip('saddr'), setRef(set)), site.overflow(request)] },
          ],
        };
      },
    }),
  ],
};

const acts: Extension = {
  name: 'acts',
  summary: 'Actions and a section for tests.',
  parity,
  actions: [
    actionWord(
      { ...described('slowly'), schema: Type.Object({}), places: ['input', 'forward'], final: true },
      {
        compile: (_, site) => {
          if (site.rule.protocols?.join() !== '6') site.refuse('slowly is for TCP', 'add "tcp: any"');
          site.note(`in ${site.hooks.join()} below the state rule: ${site.belowStateRule}`);
          site.duty({ kind: 'slow', name: site.rule.id, nflogGroup: site.nflogGroup('slow'), spec: { of: 'tests' } });
          const base = { type: 'filter', hook: 'ingress', priority: -10, devices: ['eth0'] } as const;
          site.baseChain('wire', base, [{ statements: [counter()] }], 'netdev');
          return {
            lines: [
              { statements: [counter(site.object({ kind: 'counter', role: roleOf('slow') }))] },
              { statements: [drop] },
            ],
            final: true,
          };
        },
      },
    ),
    actionWord(
      { ...described('paint'), schema: Type.Integer() },
      {
        marks: (mask) => [{ of: 'packet', mask: Number(mask) }],
        compile: (mask) => does(mangle(meta('mark'), Number(mask))),
      },
    ),
  ],
  sections: [
    sectionWord(
      { ...described('piles'), schema: Type.Integer(), form: 'named' },
      {
        compile: (name, spec, ground) => {
          ground.object({
            kind: 'quota',
            bytes: Number(spec),
            role: { kind: 'extension', extension: 'acts', name, purpose: 'pile' },
          });
          if (Number(spec) > 1000) ground.refuse(`${name} is too high`);
        },
      },
    ),
  ],
};

const roleOf = (name: string) => ({ kind: 'extension', extension: 'acts', name, purpose: 'hits' }) as const;
const extensions = [looks, acts];

/** The rules of the input chain that a rule becomes, and of the chains below it. */
function woven(rule: string): string[] {
  const plan = planOf(`hygiene: off\nchains:\n  input:\n    rules:\n      - ${rule}\n`, { extensions });
  const below = plan.ruleset.tables[0]!.chains.filter(({ name }) => name.startsWith('input_') || name.startsWith('x_'));
  const own = rulesOf(plan, 'input').filter((text) => text !== 'ct state established,related accept');
  return [...own, ...below.flatMap(({ name }) => [`${name}:`, ...rulesOf(plan, name)])];
}

test('a match of one line stands in the rule, and limits it to its family', () => {
  assert.deepEqual(woven('{ ttl: 64, tcp: 22, do: drop }'), ['tcp dport 22 ip ttl 64 drop']);
});

test('a negation of its own is taken; else the compiler inverts the match, for both families', () => {
  assert.deepEqual(woven('{ ttl: not 64, do: drop }'), ['ip ttl != 64 drop']);
  assert.deepEqual(woven('{ cpu: not 1, do: drop }'), ['jump input_1', 'input_1:', 'meta cpu 1 return', 'drop']);
});

test('a match that decides in a chain runs it once, before what remembers and after what only looks', () => {
  assert.deepEqual(woven('{ name: r, seen: 5, odd: true, tcp: 22, do: drop }'), [
    'tcp dport 22 jump input_1',
    'x_odd_walk:',
    'meta mark set meta mark | 0xc0000000',
    'input_1:',
    'jump x_odd_walk',
    'meta mark & 0xc0000000 == 0xc0000000 goto input_1_2',
    'input_1_2:',
    'add @x_looks_r_seen_4_67c2 { ip saddr limit rate 5/second } drop',
    'ip saddr != @x_looks_r_seen_4_67c2 counter name "o_x_looks_r_seen_4"',
  ]);
  assert.deepEqual(woven('{ odd: not true, do: accept }').slice(3), [
    'input_1:',
    'jump x_odd_walk',
    'meta mark & 0xc0000000 == 0xc0000000 return',
    'accept',
  ]);
});

test('a match that must see every packet is warned of below the state rule', () => {
  const policy = 'chains:\n  input:\n    rules:\n      - { seen: 5, do: drop }\n';
  assert.match(diagnosticsOf(policy, { extensions })[0]!, /^4:11 seen sees only the first packets of connections here/);
});

test('an action may be several lines, ask for objects, other tables, groups and duties, and say why', () => {
  const plan = planOf('chains:\n  input:\n    rules:\n      - { name: tar, tcp: 22, do: slowly }\n', { extensions });
  assert.equal(rulesOf(plan, 'input').at(-1), 'tcp dport 22 goto input_1_do');
  assert.deepEqual(rulesOf(plan, 'input_1_do').slice(1), ['counter name "x_acts_slow_hits"', 'drop']);
  assert.deepEqual(plan.duties, [{ kind: 'slow', name: 'tar', nflogGroup: 6, spec: { of: 'tests' } }]);
  assert.deepEqual(plan.manifest.groups, [{ owner: 'slow', group: 6 }]);
  const netdev = plan.ruleset.tables.find(({ family }) => family === 'netdev');
  assert.deepEqual(
    netdev?.chains.map(({ name, base }) => [name, base?.devices]),
    [['x_slowly_wire', ['eth0']]],
  );
  assert.ok(plan.notes.some(({ message }) => message === 'in input below the state rule: true'));
});

test('what a site refuses is told at the word, and the other rules are compiled', () => {
  const policy = 'chains:\n  input:\n    rules:\n      - { udp: 22, do: slowly }\n      - { do: [count, slowly] }\n';
  assert.deepEqual(diagnosticsOf(policy, { extensions }), [
    '4:24 slowly is for TCP; add "tcp: any"',
    '5:23 slowly is for TCP; add "tcp: any"',
  ]);
});

test('bits that the policy itself uses are not given out', () => {
  const plan = planOf('chains:\n  input:\n    rules:\n      - { odd: true, do: { paint: 3221225472 } }\n', {
    extensions,
  });
  assert.deepEqual(plan.manifest.marks, [{ of: 'packet', owner: 'odd', shift: 28, bits: 2, mask: 0x30000000 }]);
});

test('sections compile whether a rule refers to them or not', () => {
  const plan = planOf('piles: { small: 10 }\nchains:\n  input: {}\n', { extensions });
  assert.ok(plan.manifest.objects.some(({ kind, name }) => kind === 'quota' && name === 'x_acts_small_pile'));
  assert.deepEqual(diagnosticsOf('piles: { big: 2000 }\nchains:\n  input: {}\n', { extensions }), [
    '1:10 big is too high',
  ]);
});

test('several matches and actions of extensions share a rule', () => {
  assert.deepEqual(woven('{ cpu: 1, ttl: 3, do: [{ paint: 1 }, accept] }'), [
    'meta cpu 1 ip ttl 3 meta mark set 0x1 accept',
  ]);
});
