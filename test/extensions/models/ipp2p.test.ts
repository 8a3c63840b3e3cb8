/** The signatures of segments and datagrams against patterns that are run over them as text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { classifyP2p, type P2pProtocol, p2pProtocols } from '../../../src/extensions/models/ipp2p.js';

type Pattern = (text: string) => boolean;
const byte = (text: string, at: number): number => text.charCodeAt(at);

const segments: Readonly<Record<P2pProtocol, Pattern>> = {
  edk: (text) =>
    text.length > 20 &&
    byte(text, 0) === 0xe3 &&
    byte(text, 1) + 256 * byte(text, 2) === text.length - 5 &&
    [0x01, 0x4c].includes(byte(text, 5)),
  dc: (text) => text.length > 5 && /^\$(Lock |MyNick (?=.)).*\|$/s.test(text),
  gnu: (text) =>
    /^(GNUTELLA CONNECT\/|GNUTELLA\/).*\r\n$/s.test(text) ||
    (text.length >= 22 && /^GET \/(get|uri-res)\/(?=.*\r\n(X-Gnutella-|X-Queue[-:])).*\r\n$/s.test(text)),
  kazaa: (text) =>
    /^GIVE .*\r\n$/s.test(text) || /^GET \/(?=.*\r\n(X-Kazaa-Username: |User-Agent: PeerEnabler\/)).*\r\n$/s.test(text),
  bit: (text) =>
    text.length > 20 &&
    (text.startsWith('\x13BitTorrent protocol') || /^GET \/.*(info_hash=|peer_id=|passkey=)/s.test(text)),
  apple: (text) => /^ajprot\r\n/.test(text),
  soul: (text) => text.length > 7 && (fitsOneOf(soulMessages(text.length), text) || fitsOneOf(greetings, text)),
  winmx: (text) => /^(SEND|GET)$|^8.{148}$/s.test(text) || (text.length >= 10 && /^(SEND|GET.).* ".* "/s.test(text)),
  ares: (text) =>
    byte(text, 1) === 0 &&
    byte(text, 0) === text.length - 3 &&
    ((text.length === 6 && byte(text, 2) === 0x5a && byte(text, 5) === 0x05) ||
      (text.length >= 14 && text.length <= 34 && byte(text, 2) === 0x09)),
  mute: (text) => [209, 345, 473, 609, 1121].includes(text.length) && text.startsWith('PublicKey: '),
  waste: (text) => /^GET\.sha1:/.test(text),
  xdcc: (text) => text.length > 20 && text.length < 200 && /^PRIVMSG (?=.*:xdcc send #).*\r\n$/s.test(text),
};

const fitsOneOf = (all: readonly RegExp[], text: string): boolean => all.some((one) => one.test(text));
/** A number of 32 bits, the lowest byte first, as a pattern. */
const word = (value: number): string =>
  [0, 8, 16, 24].map((shift) => `\\x${((value >>> shift) & 0xff).toString(16).padStart(2, '0')}`).join('');
const upTo = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const soulCommands = [
  ...[...upTo(1, 5), 7, 9, ...upTo(13, 18), 22, 23, 26, 28, ...upTo(35, 37), ...upTo(40, 46)],
  ...[50, 51, 60, ...upTo(62, 69), 91, 92, 1001],
];
/** Messages of this many bytes: a command, or bytes that are zero. */
const soulMessages = (bytes: number): RegExp[] => {
  const commands = [...soulCommands.map(word), '\\0..\\0', '\\x01.\\0\\0'];
  return [new RegExp(`^${word(bytes - 4)}(${commands.join('|')})`, 's')];
};
const longestName = 12;
const greetings = upTo(0, longestName).map(
  (name) => new RegExp(`^${word(20)}\\x01${word(name)}.{${name}}${word(1)}\\0[FP]${word(0)}`, 's'),
);

const bytes = (pattern: TemplateStringsArray): RegExp => new RegExp(`^${pattern.raw[0]}`, 's');

const datagrams: Readonly<Partial<Record<P2pProtocol, Pattern>>> = {
  edk: (text) =>
    fitsOneOf(
      [
        ...[bytes`\xe3\x97.{32}$`, bytes`\xe3\x9a.{16}$`, bytes`\xe3\x92.{8}$`, bytes`\xe4\x20[^\0].{31}[^\0]$`],
        ...[bytes`\xe4[\0\x10\x18].{24}\0$`, bytes`\xe4\x52.{34}$`, bytes`\xe4\x40.{46}$`],
        bytes`\xe4\x28.{42}(.{25})*$`,
      ],
      text,
    ),
  dc: (text) => text.length > 12 && /^\$(SR |Ping ).*\|$/s.test(text),
  gnu: (text) => text.length > 11 && /^(GND|GNUTELLA )/.test(text),
  kazaa: (text) => text.length > 14 && text.endsWith('KaZaA\0'),
  bit: (text) =>
    fitsOneOf(
      [
        ...[bytes`.{8}\0\0\x04\0.{24}$`, bytes`.{8}\0\0\x04\x04.{45}$`, bytes`.{8}\0\0\x04\x06.{47}$`],
        ...[bytes`\0\0\x04\x05.{199}$`, bytes`\0\0\x08\x27\x37\x50\x29\x50.{36}$`, bytes`d1:[ar]d2:id20:.{12}`],
      ],
      text,
    ) ||
    (![36, 44, 57, 59, 203].includes(text.length) && bytes`.{8}\0\0\x04\x02.{16}\0\0\x01\x04`.test(text)),
};

/** Texts are put together from what signatures begin with, hold and end with, so that most of them nearly fit. */
const beginnings = [
  ...['$Lock ', '$MyNick ', 'GNUTELLA CONNECT/', 'GNUTELLA/', 'GET /get/', 'GET /uri-res/', 'GET /', 'GIVE '],
  ...['\x13BitTorrent protocol', 'ajprot\r\n', 'PublicKey: ', 'GET.sha1:', 'PRIVMSG ', ' ', ''],
];
const middles = [
  ...['\r\nX-Gnutella-', '\r\nX-Queue:', '\r\nX-Queue-', 'X-Queue', '\r\nX-Kazaa-Username: ', 'passkey', ''],
  ...['\r\nUser-Agent: PeerEnabler/', 'info_hash=', 'peer_id=', 'passkey=', ':xdcc send #', ':xdcc sent #'],
];
const filling = fc.oneof(fc.constant(''), fc.string({ maxLength: 12 }));
const joined = fc
  .tuple(
    fc.constantFrom(...beginnings),
    filling,
    fc.constantFrom(...middles),
    filling,
    fc.constantFrom('', '\r\n', '|'),
  )
  .map((parts) => parts.join(''));
/** The same, as long as a signature asks for. */
const padded = fc
  .tuple(joined, fc.constantFrom(6, 9, 19, 20, 21, 22, 199, 200, 209, 345, 1121), fc.constantFrom('', '\r\n', '|'))
  .map(([text, length, end]) => text.padEnd(length, '.').slice(0, length - end.length) + end);
const counted = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: -1, max: 1 }),
      fc.constantFrom('\x01', '\x4c', '\x4d'),
      fc.string({ minLength: 10, maxLength: 40 }),
    )
    .map(([off, kind, rest]) => {
      const length = 1 + rest.length + off;
      return `\xe3${String.fromCharCode(length % 256, length >> 8)}\0\0${kind}${rest}`;
    }),
  fc
    .tuple(
      fc.integer({ min: -1, max: 1 }),
      fc.constantFrom('\x5a\0\0\x05', '\x09', '\x5a\0\0\x06'),
      fc.string({ maxLength: 34 }),
    )
    .map(([off, kind, rest]) => `${String.fromCharCode(kind.length + rest.length - 1 + off)}\0${kind}${rest}`),
);

/** Numbers of 32 bits, the lowest byte first. */
const little = (value: number): string =>
  String.fromCharCode(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
const soul = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: -1, max: 1 }),
      fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constantFrom(1001, 0x00060500, 0x00000501, 0x00010501)),
      fc.string({ maxLength: 12 }),
    )
    .map(([off, command, rest]) => little(4 + rest.length + off) + little(command) + rest),
  fc
    .tuple(
      fc.constantFrom(20, 21),
      fc.string({ maxLength: longestName }),
      fc.integer({ min: 0, max: 1 }),
      fc.constantFrom('\0F', '\0P', '\0G', 'F\0'),
      fc.constantFrom('\0\0\0\0', '\0\0\0\x01', '\0\0\0'),
    )
    .map(
      ([first, name, off, kind, end]) =>
        `${little(first)}\x01${little(name.length + off)}${name}${little(1)}${kind}${end}`,
    ),
);
const winmx = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('SEND', 'GET', 'GOT'),
      fc.array(fc.constantFrom(' "a b"', 'joe', ' ', '"', ''), { maxLength: 5 }),
    )
    .map(([verb, words]) => verb + words.join('')),
  fc.constantFrom('8', '9').chain((first) => fc.constantFrom(147, 148, 149).map((rest) => first + '.'.repeat(rest))),
);

/** Datagrams of each kind, some of them with a byte that is another, or one more or less of them. */
const heads = [
  ...[
    '\xe3\x97',
    '\xe3\x9a',
    '\xe3\x92',
    '\xe4\x20',
    '\xe4\0',
    '\xe4\x10',
    '\xe4\x18',
    '\xe4\x52',
    '\xe4\x40',
    '\xe4\x28',
  ],
  ...[
    '$SR ',
    '$Ping ',
    'GND',
    'GNUTELLA ',
    'd1:ad2:id20:',
    'd1:rd2:id20:',
    '\0\0\x04\x05',
    '\0\0\x08\x27\x37\x50\x29\x50',
  ],
  ...['\0', '\x02', '\x04', '\x06'].map((kind) => `8 bytes.\0\0\x04${kind}`),
  ...['8 bytes.\0\0\x04\x0216 bytes in here\0\0\x01\x04', ''],
];
const lengths = [10, 12, 13, 15, 18, 24, 27, 32, 34, 35, 36, 44, 48, 57, 59, 64, 69, 94, 203];
const datagram = fc
  .tuple(
    fc.constantFrom(...heads),
    fc.constantFrom(...lengths),
    fc.constantFrom('', '|', '\0', 'KaZaA\0'),
    fc.constantFrom(-1, 0, 0, 0, 0, 1),
  )
  .map(
    ([head, length, end, off]) => head.padEnd(length + off - end.length, 'x').slice(0, length + off - end.length) + end,
  );
const touched = fc
  .tuple(datagram, fc.nat(), fc.constantFrom('\0', '\x01', '\xff'))
  .map(([text, at, other]) => text.slice(0, at % text.length) + other + text.slice((at % text.length) + 1));

function holdAgainst(
  transport: 'tcp' | 'udp',
  patterns: Readonly<Partial<Record<P2pProtocol, Pattern>>>,
  texts: fc.Arbitrary<string>,
): void {
  const hits = new Map<P2pProtocol, number>();
  fc.assert(
    fc.property(texts, (text) => {
      const payload = Buffer.from(text, 'latin1');
      for (const name of p2pProtocols) {
        const expected = patterns[name]?.(payload.toString('latin1')) ?? false;
        assert.equal(classifyP2p(transport, payload, [name]) === name, expected, `${name}: ${JSON.stringify(text)}`);
        if (expected) hits.set(name, (hits.get(name) ?? 0) + 1);
      }
    }),
    { numRuns: 20_000, seed: 7 },
  );
  assert.deepEqual([...hits.keys()].sort(), Object.keys(patterns).sort());
}

test('a segment is recognised when its text fits the pattern of the protocol, and only then', () => {
  holdAgainst('tcp', segments, fc.oneof(joined, padded, counted, soul, winmx));
});

test('a datagram is recognised when its text fits the pattern of the protocol, and only then', () => {
  holdAgainst('udp', datagrams, fc.oneof(datagram, datagram, touched, joined));
});
