import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Grant, Knocks } from '../../../src/engine/knocks.js';
import { PosternError } from '../../../src/errors.js';
import { formatAddress, type Prefix, parseAddress } from '../../../src/net/address.js';
import { formatPrefix, hostPrefix } from '../../../src/net/prefix.js';
import { readClients } from '../../../src/services/knock/clients.js';
import { type KnockKeys, KnockReceiver } from '../../../src/services/knock/receiver.js';
import { memoryDisk } from '../../../src/store/memory-disk.js';
import { encodePacket, PROTOCOL } from '../../../src/wire/packet.js';
import { encodeSpa, spaMinute } from '../../../src/wire/spa.js';
import { decodeSpa2Reply, encodeSpa2, type Spa2Request, spa2ClientId } from '../../../src/wire/spa2.js';
import { open, TestClock } from '../../store/fixtures.js';

const secrets = { open: Buffer.from('open'), close: Buffer.from('close') };
const source = parseAddress('198.51.100.7');
const minuteMs = 60_000;

const key = Buffer.alloc(32, 7);
const clients = readClients(
  JSON.stringify({
    laptop: { key: key.toString('base64url'), seconds: 600 },
    office: { key: Buffer.alloc(32, 8).toString('base64url'), any_address: true },
    phone: { key: Buffer.alloc(32, 6).toString('base64url'), ports: ['tcp/22', 'udp/51820'] },
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
function doors(): Pick<Knocks, 'grant' | 'noticed' | 'revoke' | 'find'> & { readonly inside: Map<string, Grant> } {
  const inside = new Map<string, Grant>();
  const key = (knock: string, prefix: Prefix) => `${knock} ${formatPrefix(prefix)}`;
  return {
    inside,
    find: async (knock, prefix) => inside.get(key(knock, prefix)),
    async grant(knock, prefix, { durationMs, ...as } = { by: 'spa' }) {
      if (![24, 32, 128].includes(prefix.length)) throw new PosternError('forbidden', 'not such a prefix');
      const grant = { knock, source: prefix, ...as, ...(durationMs !== undefined && { until: durationMs }) };
      inside.set(key(knock, prefix), grant);
      return grant;
    },
    noticed: async (knock, address) => {
      inside.set(key(knock, hostPrefix(address)), { knock, source: hostPrefix(address), by: 'sequence' });
    },
    revoke: async (knock, prefix) => inside.delete(key(knock, prefix)),
  };
}

async function world() {
  const clock = new TestClock();
  const disk = memoryDisk();
  const knocks = doors();
  const answers: { readonly to: string; readonly payload: Buffer }[] = [];
  const make = async (on: typeof disk) => {
    const store = await open(on, clock);
    const log = { warn() {} };
    const receiver = new KnockReceiver(
      new Map<string, KnockKeys>([
        ['ftp', { secrets }],
        ['vpn', { clients, reply: true }],
      ]),
      {
        knocks,
        window: store.replayWindow('spa'),
        log,
        answer: (to, payload) => void answers.push({ to: formatAddress(to.source), payload }),
        now: clock.wallMs,
      },
    );
    return { store, receiver };
  };
  let { store, receiver } = await make(disk);
  return {
    clock,
    knocks,
    answers,
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
    assert.deepEqual([...knocks.inside.keys()], []);
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

const keys: Readonly<Record<string, Buffer>> = { laptop: key, office: Buffer.alloc(32, 8), phone: Buffer.alloc(32, 6) };

/** Makes datagrams that differ in their nonce. */
function signer(clock: TestClock) {
  let made = 0;
  return (more: Partial<Spa2Request> = {}, signedWith: Buffer = key, client = 'laptop', knock = 'vpn') =>
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
}

test('version 2: a client opens from any address once, is bound by the clock, its knock and its rights', async (t) => {
  const { send, clock, restart, knocks } = await world();
  const sign = signer(clock);
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
  assert.deepEqual([...knocks.inside.keys()], []);

  assert.equal(await vpn(good), 'opened');
  assert.equal(await vpn(good), 'replay');
  assert.equal(await vpn(sign({ what: 'close' })), 'closed');
  await restart();
  assert.equal(await vpn(good), 'replay');
  clock.pass(90_000);
  clock.step(-90_000);
  assert.ok(['replay', 'clock'].includes(await vpn(good)));
  assert.deepEqual([...knocks.inside.keys()], []);
  const office = sign({ address: other }, Buffer.alloc(32, 8), 'office');
  assert.equal(await vpn(office), 'opened');
  assert.deepEqual([...knocks.inside.keys()], ['vpn 2001:db8::9']);
  t.diagnostic(`${refused} flipped bits refused`);
});

test('version 2: a client comes in at its ports alone, for as long as it asks or as it may', async () => {
  const { send, clock, knocks } = await world();
  const sign = signer(clock);
  const vpn = (bytes: Uint8Array) => send(bytes, source, 'vpn');
  assert.equal(await vpn(sign({}, keys.phone, 'phone')), 'opened');
  assert.deepEqual(knocks.inside.get('vpn 198.51.100.7')!.ports, [
    { protocol: 'tcp', port: 22 },
    { protocol: 'udp', port: 51_820 },
  ]);
  assert.equal(await vpn(sign({ seconds: 30 })), 'renewed');
  assert.equal(knocks.inside.get('vpn 198.51.100.7')!.until, 30_000);
  assert.equal(await vpn(sign({ seconds: 3600 })), 'renewed');
  assert.equal(knocks.inside.get('vpn 198.51.100.7')!.until, 600_000, 'no longer than the client may');
});

test('version 2: a prefix is let in where the policy allows it, and around the source unless the client may ask for any', async () => {
  const { send, clock, knocks } = await world();
  const sign = signer(clock);
  const vpn = (bytes: Uint8Array, from = source) => send(bytes, from, 'vpn');
  assert.equal(await vpn(sign({ prefixLength: 24 })), 'opened');
  assert.deepEqual([...knocks.inside.keys()], ['vpn 198.51.100.0/24']);
  assert.equal(await vpn(sign({ prefixLength: 24, what: 'close' })), 'closed');
  assert.equal(await vpn(sign({ prefixLength: 16 })), 'address', 'not in the policy');
  assert.equal(await vpn(sign({ prefixLength: 33 })), 'address', 'no prefix of this family');
  const elsewhere = { address: parseAddress('203.0.113.9'), prefixLength: 24 };
  assert.equal(await vpn(sign(elsewhere)), 'address');
  assert.equal(await vpn(sign({ address: parseAddress('198.51.100.9'), prefixLength: 24 })), 'opened', 'the own one');
  assert.equal(await vpn(sign(elsewhere, keys.office, 'office')), 'opened');
  assert.deepEqual([...knocks.inside.keys()], ['vpn 198.51.100.0/24', 'vpn 203.0.113.0/24']);
});

test('version 2: who has signed is told until when, and nobody else is told anything', async () => {
  const { send, clock, answers } = await world();
  const sign = signer(clock);
  const vpn = (bytes: Uint8Array, from = source) => send(bytes, from, 'vpn');
  const nonce = Buffer.alloc(16, 99);
  const good = sign({ nonce, seconds: 30 });
  await vpn(Buffer.alloc(good.length, 1));
  await vpn(sign({}, Buffer.alloc(32, 9)));
  await vpn(sign({ madeAt: clock.wall - 61_000 }));
  await vpn(sign({ address: parseAddress('203.0.113.9') }));
  assert.equal(answers.length, 0);
  await vpn(good);
  await vpn(good);
  assert.equal(answers.length, 1, 'a copy is not answered');
  const [{ to, payload }] = answers as [(typeof answers)[0]];
  assert.equal(to, '198.51.100.7');
  assert.ok(payload.length < good.length, 'no amplifier');
  assert.deepEqual(decodeSpa2Reply(payload, nonce, key, 'vpn'), { what: 'open', nonce, until: 30_000 });
  for (const [wrong, about] of [
    [decodeSpa2Reply(payload, Buffer.alloc(16), key, 'vpn'), 'another request'],
    [decodeSpa2Reply(payload, nonce, Buffer.alloc(32), 'vpn'), 'another key'],
    [decodeSpa2Reply(payload, nonce, key, 'ssh'), 'another knock'],
  ] as const)
    assert.equal(wrong, undefined, about);
  await vpn(sign({ what: 'close', nonce }));
  assert.deepEqual(decodeSpa2Reply(answers[1]!.payload, nonce, key, 'vpn'), { what: 'closed', nonce });
});

test('a file of clients that says something else is refused with what is wrong', () => {
  const good = key.toString('base64url');
  for (const [client, message] of [
    [{ key: 'short' }, /"key" has to be 32 bytes/],
    [{ key: good, seconds: 0 }, /"seconds" has to be/],
    [{ key: good, any_address: 'yes' }, /"any_address" has to be/],
    [{ key: good, ports: [] }, /"ports" has to be a list of 1 to 16/],
    [{ key: good, ports: ['22'] }, /write it as tcp\/22/],
    [{ key: good, ports: ['tcp/65536'] }, /write it as tcp\/22/],
  ] as const) {
    assert.throws(() => readClients(JSON.stringify({ laptop: client }), 'clients.json'), message);
  }
});
