/** Where lines of LOGMARK go, as those see them who read there. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { execa } from 'execa';
import { logmarkLine } from '../../../src/extensions/models/logmark.js';
import { Syslog, syslogMessage } from '../../../src/kernel/syslog.js';
import type { LeveledRecord } from '../../../src/services/logmark/record.js';
import { FileSink, stdoutSink, syslogSink } from '../../../src/services/logmark/sinks.js';
import { until } from '../../kernel/namespace.js';

const record: LeveledRecord = {
  level: 6,
  prefix: '',
  device: 2,
  hook: 'INPUT',
  mark: 0x11,
  direction: 'REPLY',
  state: 'ESTABLISHED',
  connection: { id: 5, mark: 0x77, translated: [], status: ['SEEN_REPLY', 'CONFIRMED'], lifetimeS: 9 },
};
const noon = Date.UTC(2026, 10, 2, 12, 0, 0);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-logmark-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('syslog gets a datagram with facility and level, the time as it has it, and the line', async (t) => {
  const socket = join(folder(t), 'log');
  const reader = execa('socat', ['-u', `UNIX-RECV:${socket}`, '-'], { buffer: false, reject: false });
  t.after(() => void reader.kill());
  let received = '';
  reader.stdout.on('data', (chunk: Buffer) => (received += chunk.toString()));
  const sink = syslogSink(new Syslog(socket));
  await until('the reader is there', () => sink.write(record, noon));
  await until('it reads', () => received !== '');
  assert.match(received, /^<14>Nov {2}2 [0-9]{2}:00:00 postern: iif=2 hook=INPUT .*ctmark=0x77/);
  assert.ok(received.startsWith(syslogMessage(6, 'postern', logmarkLine(record), new Date(noon))));
  await sink.close();
});

test('a line for a syslog that nobody reads is dropped', (t) => {
  const sink = syslogSink(new Syslog(join(folder(t), 'nobody')));
  assert.equal(sink.write(record, noon), false);
});

test('standard output gets one JSON object a line, with the line and its parts', () => {
  let text = '';
  const output = { writableLength: 0, write: (line: string) => (text += line) };
  const sink = stdoutSink(output);
  assert.equal(sink.write(record, noon), true);
  assert.deepEqual(JSON.parse(text), { time: '2026-11-02T12:00:00.000Z', logmark: logmarkLine(record), ...record });
  output.writableLength = 5 << 20;
  assert.equal(sink.write(record, noon), false, 'when nobody reads it');
});

test('a file gets the lines in order, and a new one after it was rotated', async (t) => {
  const path = join(folder(t), 'marks.log');
  const sink = new FileSink(path, assert.fail);
  for (let mark = 0; mark < 100; mark++) sink.write({ ...record, mark }, noon);
  await sink.close();
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 100);
  assert.match(lines[99] ?? '', /^2026-11-02T12:00:00\.000Z iif=2 .* nfmark=0x63 /);
  renameSync(path, `${path}.1`);
  sink.write(record, noon);
  await sink.close();
  assert.equal(readFileSync(path, 'utf8').trimEnd().split('\n').length, 1);
});

test('a file that can not be written is told', async (t) => {
  const told: string[] = [];
  const sink = new FileSink(join(folder(t), 'missing', 'marks.log'), (message) => told.push(message));
  sink.write(record, noon);
  await sink.close();
  assert.match(told.join(), /marks\.log can't be written: ENOENT/);
});
