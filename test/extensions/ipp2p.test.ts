/** The classifier of peer-to-peer protocols: every signature, and what only looks like it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { classifyP2p, type P2pProtocol, p2pNumber, p2pProtocols } from '../../src/extensions/models/ipp2p.js';
import { carriedBy } from '../../src/services/ipp2p/payload.js';

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');
/** Bytes of a fixed head, filled up to a length. */
const filled = (head: Buffer, length: number, byte = 0x78): Buffer =>
  Buffer.concat([head, Buffer.alloc(Math.max(0, length - head.length), byte)]);
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
/** 32-bit words at their offsets. */
function words(length: number, at: Readonly<Record<number, number>>): Buffer {
  const bytes = Buffer.alloc(length, 0x78);
  for (const [offset, value] of Object.entries(at)) bytes.writeUInt32BE(value, Number(offset));
  return bytes;
}
const soul = (command: number, rest = 4): Buffer => {
  const bytes = Buffer.alloc(8 + rest, 0x78);
  bytes.writeUInt32LE(4 + rest, 0);
  bytes.writeUInt32LE(command, 4);
  return bytes;
};
function edk(kind: number, length = 30, counted = length - 5): Buffer {
  const bytes = filled(hex('e3'), length);
  bytes.writeUInt16LE(counted, 1);
  bytes.fill(0, 3, 5);
  bytes[5] = kind;
  return bytes;
}
const greeting = (tail: string): Buffer => hex(`14000000010300000061626301000000${tail}`);

type Row = readonly [what: string, transport: 'tcp' | 'udp', payload: Buffer];

const positive: Readonly<Record<P2pProtocol, readonly Row[]>> = {
  edk: [
    ['hello', 'tcp', edk(0x01)],
    ['hello answer', 'tcp', edk(0x4c)],
    ['the shortest hello', 'tcp', edk(0x01, 21)],
    ...(['e397 34', 'e39a 18', 'e392 10', 'e452 36', 'e440 48', 'e428 44', 'e428 69', 'e428 94'] as const).map(
      (one): Row => {
        const [head = '', length] = one.split(' ');
        return [one, 'udp', filled(hex(head), Number(length))];
      },
    ),
    ['e420', 'udp', filled(hex('e420'), 35)],
    ...['e400', 'e410', 'e418'].map((head): Row => [head, 'udp', Buffer.concat([filled(hex(head), 26), hex('00')])]),
  ],
  dc: [
    ['lock', 'tcp', ascii('$Lock EXTENDED|')],
    ['nick', 'tcp', ascii('$MyNick joe|')],
    ['search result', 'udp', ascii('$SR joe a file|')],
    ['ping', 'udp', ascii('$Ping 192.0.2.1:5|')],
  ],
  gnu: [
    ['connect', 'tcp', ascii('GNUTELLA CONNECT/0.6\r\n')],
    ['answer', 'tcp', ascii('GNUTELLA/0.6 200 OK\r\n')],
    ['download', 'tcp', ascii('GET /get/1/a HTTP/1.1\r\nX-Gnutella-Y: 1\r\n')],
    ['by hash', 'tcp', ascii('GET /uri-res/N2R HTTP/1.1\r\nX-Queue: 1\r\n')],
    ['GND', 'udp', filled(ascii('GND'), 12)],
    ['GNUTELLA', 'udp', filled(ascii('GNUTELLA '), 12)],
  ],
  kazaa: [
    ['give', 'tcp', ascii('GIVE 1234\r\n')],
    ['user', 'tcp', ascii('GET /x HTTP/1.1\r\nX-Kazaa-Username: joe\r\n')],
    ['peer enabler', 'tcp', ascii('GET /x HTTP/1.1\r\nUser-Agent: PeerEnabler/1\r\n')],
    ['ping', 'udp', ascii('123456789KaZaA\0')],
  ],
  bit: [
    ['handshake', 'tcp', filled(ascii('\x13BitTorrent protocol'), 68)],
    ['announce', 'tcp', ascii('GET /announce?info_hash=%aa HTTP/1.0\r\n\r\n')],
    ['peer', 'tcp', ascii('GET /?peer_id=x HTTP/1.0\r\n\r\n')],
    ['passkey', 'tcp', ascii('GET /a?passkey=1234 HTTP/1.0\r\n\r\n')],
    ['connect', 'udp', words(36, { 8: 0x400 })],
    ['404', 'udp', words(57, { 8: 0x404 })],
    ['406', 'udp', words(59, { 8: 0x406 })],
    ['405', 'udp', words(203, { 0: 0x405 })],
    ['bitcomet', 'udp', words(44, { 0: 0x827, 4: 0x37502950 })],
    ['402', 'udp', words(64, { 8: 0x402, 28: 0x104 })],
    ['query', 'udp', filled(ascii('d1:ad2:id20:'), 60)],
    ['response', 'udp', filled(ascii('d1:rd2:id20:'), 24)],
  ],
  apple: [['greeting', 'tcp', ascii('ajprot\r\n')]],
  soul: [
    ...[1, 5, 7, 9, 13, 18, 22, 23, 26, 28, 35, 37, 40, 46, 50, 51, 60, 62, 69, 91, 92, 1001].map(
      (command): Row => [`command ${command}`, 'tcp', soul(command)],
    ),
    ['00 yy yy 00', 'tcp', soul(0x00060500)],
    ['01 yy 00 00', 'tcp', soul(0x00000501)],
    ['greeting F', 'tcp', greeting('004600000000')],
    ['greeting P', 'tcp', greeting('005000000000')],
  ],
  winmx: [
    ['send', 'tcp', ascii('SEND')],
    ['get', 'tcp', ascii('GET')],
    ['two names', 'tcp', ascii('SENDjoe "a b" "c d" 123')],
    ['login', 'tcp', filled(ascii('8'), 149)],
  ],
  ares: [
    ['connect', 'tcp', hex('03005a040305')],
    ['search', 'tcp', filled(hex('0b0009'), 14)],
    ['the longest search', 'tcp', filled(hex('1f0009'), 34)],
  ],
  mute: [209, 345, 473, 609, 1121].map((length): Row => [`${length}`, 'tcp', filled(ascii('PublicKey: '), length)]),
  waste: [['hash', 'tcp', ascii('GET.sha1:abcdef')]],
  xdcc: [
    ['send', 'tcp', ascii('PRIVMSG bot :xdcc send #12\r\n')],
    ['the longest', 'tcp', Buffer.concat([filled(ascii('PRIVMSG bot :xdcc send #1'), 197), ascii('\r\n')])],
  ],
};

/** What is told by its end, and what both transports say. */
const exceptions: ReadonlySet<string> = new Set(['kazaa ping', 'gnu connect']);

for (const protocol of p2pProtocols) {
  test(`${protocol}: every signature is recognised`, () => {
    for (const [what, transport, payload] of positive[protocol])
      assert.equal(classifyP2p(transport, payload), protocol, `${what}: ${payload.toString('hex')}`);
  });

  test(`${protocol}: what is shorter, shifted or sent by the other transport is not`, () => {
    for (const [what, transport, payload] of positive[protocol]) {
      if (exceptions.has(`${protocol} ${what}`)) continue;
      const shifted = Buffer.concat([Buffer.from([0x20]), payload]);
      assert.notEqual(classifyP2p(transport, shifted), protocol, `${what} behind another byte`);
      const other = transport === 'tcp' ? 'udp' : 'tcp';
      assert.notEqual(classifyP2p(other, payload), protocol, `${what} by ${other}`);
      assert.equal(classifyP2p(transport, payload.subarray(0, 2)), undefined, `${what}, two bytes of it`);
    }
  });
}

const misses: readonly Row[] = [
  ['a hello with another length', 'tcp', edk(0x01, 30, 24)],
  ['a hello of another kind', 'tcp', edk(0x02)],
  ['a hello of 20 bytes', 'tcp', edk(0x01, 20)],
  ['a status request, too short', 'udp', filled(hex('e396'), 6)],
  ['a status answer of another length', 'udp', filled(hex('e397'), 35)],
  ['e420 with a zero', 'udp', Buffer.concat([filled(hex('e420'), 34), hex('00')])],
  ['e400 without its zero', 'udp', filled(hex('e400'), 27)],
  ['half a record of results', 'udp', filled(hex('e428'), 60)],
  ['a lock without its end', 'tcp', ascii('$Lock EXTENDED')],
  ['a short nick', 'tcp', ascii('$MyNick|')],
  ['a search result of 12 bytes', 'udp', ascii('$SR joe foo|')],
  ['a download of the web', 'tcp', ascii('GET /get/1/a HTTP/1.1\r\nHost: example.org\r\n')],
  ['a greeting without the end of its line', 'tcp', ascii('GNUTELLA CONNECT/0.6')],
  ['GND, too short', 'udp', filled(ascii('GND'), 11)],
  ['a header in the middle of a line', 'tcp', ascii('GET /x-X-Kazaa-Username: joe\r\n')],
  ['KaZaA, too short', 'udp', ascii('12345678KaZaA\0')],
  ['a handshake of 20 bytes', 'tcp', ascii('\x13BitTorrent protocol')],
  ['info_hash posted', 'tcp', ascii('POST /announce?info_hash=%aa HTTP/1.0\r\n')],
  ['a page', 'tcp', ascii('GET / HTTP/1.0\r\nHost: example.org\r\n\r\n')],
  ['402 without its other word', 'udp', words(64, { 8: 0x402 })],
  ['402 at a length of its own', 'udp', words(57, { 8: 0x402, 28: 0x104 })],
  ['connect, longer', 'udp', words(37, { 8: 0x400 })],
  ['a DHT query of 23 bytes', 'udp', filled(ascii('d1:ad2:id20:'), 23)],
  ['ajprot in half a line', 'tcp', ascii('ajprot\n\r')],
  ['a command that nobody knows', 'tcp', soul(0x08000078)],
  ['a command with another length', 'tcp', filled(soul(26), 13)],
  ['a greeting with another end', 'tcp', greeting('004700000000')],
  ['SEND with one name', 'tcp', ascii('SENDjoe "only one name')],
  ['SENDS', 'tcp', ascii('SENDS')],
  ['a login of 148 bytes', 'tcp', filled(ascii('8'), 148)],
  ['a search of 13 bytes', 'tcp', filled(hex('0a0009'), 13)],
  ['a search of 35 bytes', 'tcp', filled(hex('200009'), 35)],
  ['ares with another end', 'tcp', hex('03005a040306')],
  ['a key of 210 bytes', 'tcp', filled(ascii('PublicKey: '), 210)],
  ['GET.sha2', 'tcp', ascii('GET.sha2:abcdef')],
  ['a message of IRC', 'tcp', ascii('PRIVMSG #chan :hello there\r\n')],
  ['xdcc of 20 bytes', 'tcp', ascii('PRIVMSG :xdcc send\r\n')],
  ['a name server', 'udp', hex('123401000001000000000000076578616d706c65036f72670000010001')],
];

test('near misses are nothing', () => {
  for (const [what, transport, payload] of misses) assert.equal(classifyP2p(transport, payload), undefined, what);
});

test('only what is asked for is looked for, and numbers tell protocols apart', () => {
  const handshake = positive.bit[0]![2];
  assert.equal(classifyP2p('tcp', handshake, ['edk', 'dc']), undefined);
  assert.equal(classifyP2p('tcp', handshake, ['bit']), 'bit');
  assert.deepEqual(p2pProtocols.map(p2pNumber), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

test('no bytes make the classifier or the reader of packets fail', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom('tcp' as const, 'udp' as const),
      (bytes, transport) => {
        classifyP2p(transport, Buffer.from(bytes));
        carriedBy(Buffer.from(bytes));
        for (const head of [0x45, 0x60]) carriedBy(Buffer.from([head, ...bytes]));
      },
    ),
    { numRuns: 500 },
  );
});
