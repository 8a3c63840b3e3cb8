import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../../src/net/address.js';
import { SysrqReceiver, type SysrqReport } from '../../../src/services/sysrq/receiver.js';
import { memoryDisk } from '../../../src/store/memory-disk.js';
import { encodePacket, PROTOCOL } from '../../../src/wire/packet.js';
import { encodeSysrq } from '../../../src/wire/sysrq.js';
import { open, TestClock } from '../../store/fixtures.js';

const secret = { password: 'secret', hash: 'sha256' } as const;
const destination = parseAddress('192.0.2.1');

const copyOf = (payload: Uint8Array, to = destination) =>
  encodePacket({
    source: parseAddress(to.family === 4 ? '192.0.2.25' : '2001:db8::25'),
    destination: to,
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 1234, destinationPort: 9 },
    payload,
  });

async function world({ signsAddress = true, disk = memoryDisk() } = {}) {
  const store = await open(disk, new TestClock());
  const sequence = store.sequence('sysrq');
  const pressed: string[] = [];
  const reports: SysrqReport[] = [];
  const receiver = new SysrqReceiver(
    { secret, signsAddress, keys: 'hsu' },
    {
      sequence,
      firstSequence: 1000n,
      press: async (key) => void pressed.push(`${key}@${sequence.current}`),
      report: async (report) => void reports.push(report),
    },
  );
  return {
    pressed,
    reports,
    disk,
    async send(payload: Uint8Array, to = destination) {
      receiver.receive(copyOf(payload, to));
      await receiver.settled();
      return reports.at(-1)!.result;
    },
  };
}

test('keys are pressed in their order, with the new number on disk before the first', async () => {
  const { send, pressed, disk } = await world();
  assert.equal(await send(encodeSysrq('hs', 1001n, 'salt', { ...secret, destination })), 'done');
  assert.deepEqual(pressed, ['h@1001', 's@1001']);
  const after = await world({ disk: disk.afterCrash(0) });
  assert.equal(await after.send(encodeSysrq('hs', 1001n, 'salt', { ...secret, destination })), 'replayed');
  assert.deepEqual(after.pressed, []);
});

test('requests of 1.32 sign no address, those of 1.37 sign theirs, in both families', async () => {
  const six = parseAddress('2001:db8::1');
  const old = await world({ signsAddress: false });
  assert.equal(await old.send(encodeSysrq('s', 1001n, '', secret)), 'done');
  assert.equal(await old.send(encodeSysrq('s', 1002n, '', { ...secret, destination })), 'bad-digest');
  const now = await world();
  assert.equal(await now.send(encodeSysrq('s', 1001n, '', secret)), 'bad-digest');
  assert.equal(await now.send(encodeSysrq('s', 1001n, '', { ...secret, destination: six }), six), 'done');
  assert.equal(await now.send(encodeSysrq('s', 1002n, '', { ...secret, destination: six })), 'bad-digest');
});

test('of a request with a key that is not allowed none is pressed, and its number is used up', async () => {
  const { send, pressed } = await world();
  assert.equal(await send(encodeSysrq('sb', 1001n, 'x', { ...secret, destination })), 'key');
  assert.equal(await send(encodeSysrq('s', 1001n, 'x', { ...secret, destination })), 'replayed');
  assert.deepEqual(pressed, []);
});

test('no report tells a right digest, and whatever is flipped is refused', async (t) => {
  const { send, pressed, reports } = await world();
  const good = encodeSysrq('s', 1001n, 'x', { ...secret, destination });
  let refused = 0;
  for (let bit = 0; bit < (good.length - 1) * 8; bit++) {
    const flipped = Buffer.from(good);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(await send(flipped), 'done', `bit ${bit}`);
    refused++;
  }
  assert.deepEqual(pressed, []);
  const digest = good.toString().split(',')[3]!.trim();
  assert.ok(!JSON.stringify(reports).includes(digest));
  t.diagnostic(`${refused} damaged requests refused`);
});
