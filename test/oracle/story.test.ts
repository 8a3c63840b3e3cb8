/** Answers as people read them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer, AnswerRule } from '../../src/oracle/answer.js';
import { storyText } from '../../src/oracle/story.js';

const place = (line: number) => ({ file: '/etc/postern/p.yaml', line, column: 9 });
const missed = (line: number, rule: string, failed: string, instead: string, ...held: string[]): AnswerRule => ({
  ...{ place: place(line), rule, took: false, held, failed, instead },
});

const base: Answer = {
  packet: 'tcp 203.0.113.5:40000 > 192.0.2.1:22',
  verdict: 'drop',
  by: { kind: 'policy', text: 'by the policy of chain input (p.yaml:8)', place: place(8) },
  state: 'new',
  mark: 0,
  in: 'wan',
  out: [],
  path: [
    {
      ...{ hook: 'input', chain: 'input', generated: false, end: 'drop' },
      rules: [
        missed(9, '{ from: <bad>, do: drop }', 'from <bad>', '203.0.113.5 is not in it'),
        missed(10, '{ in: wan, tcp: 80, do: accept }', 'tcp 80', 'port is 22', 'in wan'),
      ],
    },
  ],
  near: [missed(10, '{ in: wan, tcp: 80, do: accept }', 'tcp 80', 'port is 22', 'in wan')],
  effects: [],
  duties: [],
  copied: [],
  caveats: [],
};

test('a packet that no rule took', () => {
  assert.equal(
    storyText(base),
    `tcp 203.0.113.5:40000 > 192.0.2.1:22

DROP   by the policy of chain input (p.yaml:8)   state new, in wan

  input        :9    no   from <bad>                              203.0.113.5 is not in it
               :10   no   tcp 80                                  in wan held; port is 22
               end   policy drop

Nearest rule: p.yaml:10 { in: wan, tcp: 80, do: accept }
  it would take the packet but for: tcp 80 (port is 22)
`,
  );
});

test('chains that the compiler made are told as what came of their rule', () => {
  const took = (line: number, verdict: string): AnswerRule => ({
    ...{ place: place(line), rule: '{ tcp: 9, do: [count, drop] }', took: true, verdict, held: [] },
  });
  const path = [
    { hook: 'input', chain: 'input', generated: false, rules: [took(12, 'goto')] },
    { hook: 'input', chain: 'input_6_do', generated: true, rules: [took(12, 'drop')] },
  ];
  const text = storyText({ ...base, near: [], path });
  assert.match(text, /^ {2}input {8}:12 {3}drop {3}\{ tcp: 9, do: \[count, drop\] \}$/m);
  assert.doesNotMatch(text, /input_6_do|goto/);
});

test('a chain of the policy that is jumped to is told as such', () => {
  const jump: AnswerRule = { place: place(12), rule: '{ do: jump inside }', took: true, verdict: 'jump', held: [] };
  const path = [
    { hook: 'input', chain: 'input', generated: false, rules: [jump] },
    { ...base.path[0]!, chain: 'inside' },
  ];
  assert.match(storyText({ ...base, path }), /:12 {3}jump {3}\{ do: jump inside \}\n {2}input inside :9 /);
});

test('what is not known is said instead of a reason', () => {
  const text = storyText({ ...base, verdict: 'incomplete', incomplete: '3 events of the trace were lost', near: [] });
  assert.match(text, /^INCOMPLETE {3}3 events of the trace were lost/m);
});

test('what comes out, what is left behind and what was not tested have a list each', () => {
  const text = storyText({
    ...base,
    ...{ verdict: 'accept', near: [], mark: 0x42, effects: ['203.0.113.5 is added to <seen>'], caveats: ['no driver'] },
    out: [{ device: 'wan0', kind: 'answer', text: 'tcp rst,ack from 192.0.2.1 port 22 by wan0' }],
  });
  assert.match(text, /mark 0x42/);
  assert.match(text, /Out:\n {2}answer: tcp rst,ack/);
  assert.match(text, /Effects:\n {2}203\.0\.113\.5 is added to <seen>\n\nNot tested:\n {2}no driver\n$/);
});
