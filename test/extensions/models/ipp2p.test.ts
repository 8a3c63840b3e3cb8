/** The signatures of segments against patterns that are run over them as text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { classifyP2p, type P2pProtocol } from '../../../src/extensions/models/ipp2p.js';

type Pattern = (text: string) => boolean;
const byte = (text: string, at: number): number => text.charCodeAt(at);

const patterns: Readonly<Partial<Record<P2pProtocol, Pattern>>> = {
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
  ares: (text) =>
    byte(text, 1) === 0 &&
    byte(text, 0) === text.length - 3 &&
    ((text.length === 6 && byte(text, 2) === 0x5a && byte(text, 5) === 0x05) ||
      (text.length >= 14 && text.length <= 34 && byte(text, 2) === 0x09)),
  mute: (text) => [209, 345, 473, 609, 1121].includes(text.length) && text.startsWith('PublicKey: '),
  waste: (text) => /^GET\.sha1:/.test(text),
  xdcc: (text) => text.length > 20 && text.length < 200 && /^PRIVMSG (?=.*:xdcc send #).*\r\n$/s.test(text),
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

test('a segment is recognised when its text fits the pattern of the protocol, and only then', () => {
  const hits = new Map<P2pProtocol, number>();
  fc.assert(
    fc.property(fc.oneof(joined, padded, counted), (text) => {
      const payload = Buffer.from(text, 'latin1');
      for (const [name, fits] of Object.entries(patterns) as [P2pProtocol, Pattern][]) {
        const expected = fits(payload.toString('latin1'));
        assert.equal(classifyP2p('tcp', payload, [name]) === name, expected, `${name}: ${JSON.stringify(text)}`);
        if (expected) hits.set(name, (hits.get(name) ?? 0) + 1);
      }
    }),
    { numRuns: 20_000, seed: 7 },
  );
  assert.deepEqual([...hits.keys()].sort(), Object.keys(patterns).sort());
});
