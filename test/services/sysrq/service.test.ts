/** The service around the receiver: what is told at start, what is written where, what stands in which log. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compileText } from '../../../src/cli/policy-file.js';
import type { SysrqSpec } from '../../../src/extensions/sysrq.js';
import type { PacketCopies, PacketCopy } from '../../../src/kernel/packet-copies.js';
import { parseAddress } from '../../../src/net/address.js';
import type { ServiceContext } from '../../../src/services/service.js';
import { SysrqService } from '../../../src/services/sysrq/service.js';
import type { AuditEvent } from '../../../src/store/audit-lines.js';
import { encodePacket, PROTOCOL } from '../../../src/wire/packet.js';
import { encodeSysrq } from '../../../src/wire/sysrq.js';

const folder = mkdtempSync(join(tmpdir(), 'postern-sysrq-'));
after(() => rmSync(folder, { recursive: true }));
const passwordFile = join(folder, 'password');
writeFileSync(passwordFile, 'passw0rd\n', { mode: 0o600 });
const destination = parseAddress('192.0.2.1');
const secret = { password: 'passw0rd', hash: 'sha256', destination } as const;
const now = 1_795_323_519_000;

function world(trigger: string, words = '') {
  const text = `
version: 1
sysrq: { from: 192.0.2.25, password: { file: ${passwordFile} }, hash: sha256, keys: hs${words} }
chains: { input: { policy: drop } }
`;
  const compiled = compileText({ file: 'policy.yaml', text });
  const lines: string[] = [];
  const audit: AuditEvent[] = [];
  let take: (copy: PacketCopy) => void = () => {};
  const log =
    (level: string) =>
    (message: string, facts: object = {}) =>
      void lines.push(`${level}: ${message} ${JSON.stringify(facts)}`);
  const copies: Pick<PacketCopies, 'listen'> = {
    async listen(_group, _bytes, taker) {
      take = taker;
      return async () => {};
    },
  };
  const context = {
    engine: { policy: { current: compiled } },
    copies,
    audit: async (event: AuditEvent) => void audit.push(event),
    log: { info: log('info'), warn: log('warn'), error: log('error') },
    now: () => now,
  } as unknown as ServiceContext;
  const spec = compiled.policy.sections.get('sysrq')!.get('sysrq')!.spec as SysrqSpec;
  const service = new SysrqService(spec, context, trigger);
  return {
    service,
    lines,
    audit,
    async ask(payload: Buffer) {
      const udp = { sourcePort: 1234, destinationPort: 9 };
      const packet = { source: parseAddress('192.0.2.25'), destination, protocol: PROTOCOL.UDP, udp, payload };
      take({ prefix: 'sysrq', packet: encodePacket(packet) });
      await service.stop();
    },
  };
}

const request = (keys: string, number: number) => encodeSysrq(keys, BigInt(now / 1000 + number), 'salt', secret);
const results = (audit: readonly AuditEvent[]) => audit.map(({ detail }) => (detail as { result: string }).result);

test('keys are written to where the kernel takes them, and told of before and after', async () => {
  const trigger = join(folder, 'trigger');
  writeFileSync(trigger, '');
  const { service, lines, audit, ask } = world(trigger);
  await service.start();
  assert.deepEqual(lines, []);
  assert.equal(service.status(), 'udp 9, keys hs');
  await ask(request('s', 1));
  assert.equal(readFileSync(trigger, 'utf8'), 's');
  assert.deepEqual(results(audit), ['accepted', 'done']);
  assert.deepEqual(audit[0]!.who, { kind: 'sysrq', id: '192.0.2.25' });
});

test('a kernel without SysRq is told of at start; requests are checked then, and fail with the reason', async () => {
  const { service, lines, audit, ask } = world(join(folder, 'nothing'));
  await service.start();
  assert.match(lines.join('\n'), /^error: sysrq: this kernel has no SysRq \(CONFIG_MAGIC_SYSRQ\)/);
  assert.match(service.status(), /this kernel has no SysRq/);
  await ask(request('h', 1));
  assert.deepEqual(results(audit), ['accepted', 'failed']);
  assert.match(JSON.stringify(audit[1]), /ENOENT/);
});

test('with dry_run nothing is written', async () => {
  const trigger = join(folder, 'dry');
  writeFileSync(trigger, '');
  const { service, audit, ask } = world(trigger, ', dry_run: true');
  await service.start();
  await ask(request('h', 1));
  assert.equal(readFileSync(trigger, 'utf8'), '');
  assert.deepEqual(results(audit), ['dry-run']);
});

test('every request is in the audit log and in the log, and no line of either has a right digest', async (t) => {
  const { service, lines, audit, ask } = world(join(folder, 'nothing'));
  await service.start();
  const good = request('h', 1);
  const right = good.toString().split(',')[3]!.trim();
  const flipped = Buffer.from(good);
  flipped[good.length - 5]! ^= 1;
  const all = [Buffer.from('xyz'), Buffer.alloc(0), flipped, good.subarray(0, 40), good, good, request('b', 2)];
  for (const payload of all) await ask(payload);
  assert.deepEqual(results(audit), [
    'malformed',
    'empty',
    'bad-digest',
    'short-digest',
    ...['accepted', 'failed'],
    'replayed',
    'key',
  ]);
  assert.equal(lines.length - 1, audit.length);
  const everything = `${lines.join('\n')}${JSON.stringify(audit)}`;
  for (let digits = 0; digits + 16 <= right.length; digits += 8) {
    assert.ok(!everything.includes(right.slice(digits, digits + 16)), 'a part of the digest');
  }
  t.diagnostic(`${all.length} requests, ${audit.length} lines of audit, none with a digest`);
});

test('requests that come faster than they can be judged are told of, too', async () => {
  const { service, audit, ask } = world(join(folder, 'nothing'));
  await service.start();
  await Promise.all(Array.from({ length: 70 }, () => ask(Buffer.from('xyz'))));
  assert.equal(audit.length, 70);
  assert.equal(results(audit).filter((result) => result === 'busy').length, 6);
});
