/** What became of packets, read from what a kernel has told of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tape } from '../../src/kernel/fake-scratch.js';
import { judged, nearMisses, visitsOf } from '../../src/oracle/near.js';
import type { Outcome } from '../../src/oracle/reading.js';
import { type PacketName, played } from './tape.js';

const { trial, outcomes } = await played();

/** `verdict by what, in which state`. */
function told({ verdict, stop, state }: Outcome): string {
  const by =
    stop.by === 'rule'
      ? `line ${stop.rule.rule.origin?.line}`
      : stop.by === 'host'
        ? `host: ${stop.reason}`
        : stop.by === 'policy'
          ? `policy of ${stop.hook}`
          : stop.by;
  return `${verdict} by ${by}, ${state}`;
}

const expected: Readonly<Record<PacketName, string>> = {
  accepted: 'accept by line 15, new',
  banned: 'drop by line 13, new',
  unwanted: 'drop by policy of input, new',
  refused: 'reject by line 16, new',
  martian: 'lost by host: martian, new',
  onward: 'accept by line 20, new',
  known: 'accept by line 14, established',
  stray: 'drop by policy of input, invalid',
  own: 'accept by policy of output, new',
  reflected: 'reflected by line 9, none',
};

for (const name of Object.keys(expected) as PacketName[]) {
  test(`${name}: ${expected[name]}`, () => assert.equal(told(outcomes[name]), expected[name]));
}

test('what leaves is an answer, or goes on', () => {
  const out = (name: PacketName) => outcomes[name].out.map(({ device, kind }) => `${kind} ${device}`);
  assert.deepEqual(out('refused'), ['answer wan']);
  assert.deepEqual(out('onward'), ['onward wan']);
  assert.deepEqual(out('reflected'), ['answer wan']);
  assert.deepEqual(out('banned'), []);
});

test('the rules that did not take a packet are known by how far their matches held', () => {
  const visits = visitsOf(outcomes.unwanted, trial.rules);
  const input = visits.find(({ chain }) => chain === 'input')!;
  assert.equal(input.end, 'drop');
  const ssh = judged(input).find(({ at }) => at?.line === 15)!;
  assert.equal(ssh.closest.took, false);
  assert.equal(ssh.closest.held, 1, 'in: wan held, tcp: 22 did not');
  assert.deepEqual(
    nearMisses(visits).map(({ at }) => at.line),
    [15],
  );
  assert.deepEqual(
    nearMisses(visits, () => false),
    [],
  );
});

const withRuns = (change: (run: Runs[number], index: number) => Runs[number]) => (tape: Tape) =>
  tape.map((one) => (one.call === 'inject' ? { ...one, runs: one.runs.map(change) } : one));
type Runs = Extract<Tape[number], { call: 'inject' }>['runs'];

test('a trace that lost events is incomplete, whatever the rest of it says', async () => {
  const { outcomes: lossy } = await played(withRuns((run) => ({ ...run, lost: 3 })));
  assert.equal(lossy.accepted.verdict, 'incomplete');
  assert.equal(lossy.accepted.incomplete, '3 events of the trace were lost');
});

test('a trace that ends before the packet does is incomplete', async () => {
  const { outcomes: cut } = await played(
    withRuns((run) => {
      const trace = Buffer.from(run.trace, 'base64');
      // The first three messages: into a chain, and never out of it.
      let end = 0;
      for (let count = 0; count < 3; count++) end += (trace.readUInt32LE(end) + 3) & ~3;
      return { ...run, trace: trace.subarray(0, end).toString('base64') };
    }),
  );
  assert.equal(cut.banned.verdict, 'incomplete');
  assert.match(cut.banned.incomplete!, /the trace ends before the packet does/);
});

test('no trace at all is incomplete; a packet that could not be sent says why', async () => {
  const { outcomes: silent } = await played(
    withRuns((run, index) => ({ ...run, trace: '', ...(index === 0 && { refused: 'ENETUNREACH' }) })),
  );
  assert.equal(silent.accepted.incomplete, 'the packet could not be sent: ENETUNREACH');
  assert.equal(silent.banned.incomplete, 'the kernel told nothing of the packet');
});

test('the tape says so when it is played out of order', async () => {
  await assert.rejects(
    played((tape) => tape.slice(1)),
    /the tape goes on with load, and not with build/,
  );
});
