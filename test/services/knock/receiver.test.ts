import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Knocks } from '../../../src/engine/knocks.js';
import { formatAddress, parseAddress } from '../../../src/net/address.js';
import { readClients } from '../../../src/services/knock/clients.js';
import { type KnockKeys, KnockReceiver } from '../../../src/services/knock/receiver.js';
import { memoryDisk } from '../../../src/store/memory-disk.js';
import { encodePacket, PROTOCOL } from '../../../src/wire/packet.js';
import { encodeSpa, spaMinute } from '../../../src/wire/spa.js';
import { encodeSpa2, spa2ClientId } from '../../../src/wire/spa2.js';
import { open, TestClock } from '../../store/fixtures.js';

const secrets = { open: Buffer.from('open'), close: Buffer.from('close') };
const source = parseAddress('198.51.100.7');
const minuteMs = 60_000;

const key = Buffer.alloc(32, 7);
const clients = readClients(
  JSON.stringify({
    laptop: { key: key.toString('base64url'), seconds: 600 },
    office: { key: Buffer.alloc(32, 8).toString('base64url'), any_address: true },
  }),
  'clients.json',
);

const copyOf = (payload: Uint8Array, from = source) =>
  encodePacket({
    source: from,
    destination: parseAddress('192.0.2.1'),
    protocol: PROTOCOL.UDP,
    udp: { sourcePort: 1234, destinationPort: 4000 },
    payload,
  });

/** Doors without a kernel. */
function doors(): Pick<Knocks, 'grant' | 'noticed' | 'revoke' | 'has'> & { readonly inside: Set<string> } {
  const inside = new Set<string>();
  const key = (knock: string, address: typeof source) => `${knock} ${formatAddress(address)}`;
  return {
    inside,
    has: async (knock, address) => inside.has(key(knock, address)),
    grant: async (knock, address) => {
      inside.add(key(knock, address));
      return { knock, address, by: 'spa' };
    },
    noticed: async (knock, address) => void inside.add(key(knock, address)),
    revoke: async (knock, address) => inside.delete(key(knock, address)),
  };
}

async function world() {
  const clock = new TestClock();
  const disk = memoryDisk();
  const knocks = doors();
  const make = async (on: typeof disk) => {
    const store = await open(on, clock);
    const log = { warn() {} };
    const receiver = new KnockReceiver(
      new Map<string, KnockKeys>([
        ['ftp', { secrets }],
        ['vpn', { clients }],
      ]),
      {
        knocks,
        window: store.replayWindow('spa'),
        log,
        now: clock.wallMs,
      },
    );
    return { store, receiver };
  };
  let { store, receiver } = await make(disk);
  return {
    clock,
    knocks,
    async send(payload: Uint8Array, from = source, name = 'ftp'): Promise<string> {
      const before = new Map(receiver.counts.get(name));
      receiver.receive(`${name === 'ftp' ? 'spa' : 'spa2'}:${name}`, copyOf(payload, from));
      await receiver.settled();
      return [...receiver.counts.get(name)!].find(([result, count]) => count !== (before.get(result) ?? 0))![0];
    },
    sign: (secret = secrets.open, from = source) => encodeSpa(secret, from, spaMinute(clock.wall)),
    async restart() {
      await store.close();
      ({ store, receiver } = await make(disk.afterCrash(0)));
    },
  };
}

test('a datagram opens once: not again at once, after a close, after a restart, or when the clock has gone back', async (t) => {
  const { send, sign, restart, clock, knocks } = await world();
  const good = sign();
  assert.equal(await send(good), 'opened');
  assert.equal(await send(good), 'open');
  assert.equal(await send(sign(secrets.close)), 'closed');
  let refused = 0;
  const again = async () => {
    assert.ok(['replay', 'bad'].includes(await send(good)));
    assert.deepEqual([...knocks.inside], []);
    refused++;
  };
  await again();
  await restart();
  await again();
  clock.pass(minuteMs);
  await again();
  clock.pass(60 * minuteMs);
  clock.step(-61 * minuteMs);
  await again();
  await restart();
  await again();
  t.diagnostic(`${refused} copies refused`);
});

test('every flipped bit, every other length, other minutes, keys and sources are refused', async (t) => {
  const { send, sign, clock } = await world();
  const good = sign();
  let refused = 0;
  const refuse = async (payload: Uint8Array, from = source) => {
    assert.equal(await send(payload, from), 'bad');
    refused++;
  };
  for (let bit = 0; bit < 64 * 8; bit++) {
    const flipped = Buffer.from(good);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await refuse(flipped);
  }
  for (let length = 0; length < 200; length++) if (length !== 65) await refuse(Buffer.alloc(length, good));
  for (const minutes of [-1, 1]) await refuse(encodeSpa(secrets.open, source, spaMinute(clock.wall) + minutes));
  await refuse(encodeSpa(Buffer.from('other'), source, spaMinute(clock.wall)));
  await refuse(good, parseAddress('198.51.100.8'));
  assert.equal(await send(good), 'opened');
  t.diagnostic(`${refused} wrong datagrams refused`);
});

test('a source opens a door once a minute, and others are not disturbed', async () => {
  const { send, sign, clock } = await world();
  const other = parseAddress('2001:db8::7');
  assert.equal(await send(sign()), 'opened');
  assert.equal(await send(sign(secrets.close)), 'closed');
  assert.equal(await send(sign()), 'replay');
  assert.equal(await send(sign(secrets.open, other), other), 'opened');
  clock.pass(minuteMs);
  assert.equal(await send(sign()), 'opened');
});

test('version 2: a client opens from any address once, is bound by the clock, its knock and its rights', async (t) => {
  const { send, clock, restart, knocks } = await world();
  let made = 0;
  const sign = (more: object = {}, signedWith = key, client = 'laptop', knock = 'vpn') =>
    encodeSpa2(
      {
        what: 'open',
        client: spa2ClientId(client),
        nonce: Buffer.alloc(16, made++),
        madeAt: clock.wall,
        seconds: 0,
        ...more,
      },
      signedWith,
      knock,
    );
  const vpn = (bytes: Uint8Array, from = source) => send(bytes, from, 'vpn');
  const good = sign();
  let refused = 0;
  for (let bit = 0; bit < good.length * 8; bit++) {
    const flipped = Buffer.from(good);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(await vpn(flipped), 'bad', `bit ${bit}`);
    refused++;
  }
  for (let length = 0; length < 200; length++)
    if (length !== good.length) assert.equal(await vpn(Buffer.alloc(length, good)), 'bad');
  assert.equal(await vpn(sign({}, Buffer.alloc(32, 9))), 'bad', 'another key');
  assert.equal(await vpn(sign({}, key, 'nobody')), 'bad', 'an unknown client');
  assert.equal(await vpn(sign({}, key, 'laptop', 'ssh')), 'bad', 'for another knock');
  for (const off of [-61_000, 61_000]) assert.equal(await vpn(sign({ madeAt: clock.wall + off })), 'clock');
  const other = parseAddress('2001:db8::9');
  assert.equal(await vpn(sign({ address: other })), 'address');
  assert.deepEqual([...knocks.inside], []);

  assert.equal(await vpn(good), 'opened');
  assert.equal(await vpn(good), 'replay');
  assert.equal(await vpn(sign({ what: 'close' })), 'closed');
  await restart();
  assert.equal(await vpn(good), 'replay');
  clock.pass(90_000);
  clock.step(-90_000);
  assert.ok(['replay', 'clock'].includes(await vpn(good)));
  assert.deepEqual([...knocks.inside], []);
  const office = sign({ address: other }, Buffer.alloc(32, 8), 'office');
  assert.equal(await vpn(office), 'opened');
  assert.deepEqual([...knocks.inside], ['vpn 2001:db8::9']);
  t.diagnostic(`${refused} flipped bits refused`);
});
