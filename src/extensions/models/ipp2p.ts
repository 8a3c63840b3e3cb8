/**
 * Peer-to-peer protocols by what the payload of one packet looks like: the signatures of xt_ipp2p. Rules in the kernel ask a
 * part of this, the classifier in the daemon all of it.
 */

/** In the order in which they are asked; the first that fits decides. The number stands in connection marks. */
export const p2pProtocols = [
  ...(['edk', 'dc', 'gnu', 'kazaa', 'bit', 'apple'] as const),
  ...(['soul', 'winmx', 'ares', 'mute', 'waste', 'xdcc'] as const),
] as const;
export type P2pProtocol = (typeof p2pProtocols)[number];

/** 1 to 12. */
export const p2pNumber = (protocol: P2pProtocol): number => p2pProtocols.indexOf(protocol) + 1;

type Signature = (payload: Buffer) => boolean;

/** What a payload looks like; the protocols are asked for in their order. */
export function classifyP2p(
  transport: 'tcp' | 'udp',
  payload: Buffer,
  wanted: readonly P2pProtocol[] = p2pProtocols,
): P2pProtocol | undefined {
  const signatures = transport === 'tcp' ? tcp : udp;
  return p2pProtocols.find((protocol) => wanted.includes(protocol) && looksLike(signatures[protocol], payload));
}

interface Signed {
  /** The payload is longer than this. */
  readonly above: number;
  readonly fits: Signature;
}

const looksLike = (signed: Signed | undefined, payload: Buffer): boolean =>
  signed !== undefined && payload.length > signed.above && signed.fits(payload);

const begins = (payload: Buffer, text: string): boolean => payload.subarray(0, text.length).equals(latin1(text));
const ends = (payload: Buffer, text: string): boolean =>
  payload.length >= text.length && payload.subarray(payload.length - text.length).equals(latin1(text));
const holds = (payload: Buffer, text: string): boolean => payload.includes(text, 0, 'latin1');
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

const tcp: Readonly<Partial<Record<P2pProtocol, Signed>>> = {
  edk: { above: 20, fits: isEdkHello },
  dc: {
    above: 5,
    fits: (payload) =>
      ends(payload, '|') && (begins(payload, '$Lock ') || (payload.length >= 9 && begins(payload, '$MyNick '))),
  },
  gnu: { above: 5, fits: isGnutella },
  kazaa: {
    above: 5,
    fits: (payload) =>
      ends(payload, '\r\n') &&
      (begins(payload, 'GIVE ') ||
        (begins(payload, 'GET /') &&
          (holds(payload, '\r\nX-Kazaa-Username: ') || holds(payload, '\r\nUser-Agent: PeerEnabler/')))),
  },
  bit: {
    above: 20,
    fits: (payload) =>
      begins(payload, '\x13BitTorrent protocol') ||
      (begins(payload, 'GET /') && ['info_hash=', 'peer_id=', 'passkey='].some((word) => holds(payload, word))),
  },
  apple: { above: 5, fits: (payload) => begins(payload, 'ajprot\r\n') },
  soul: { above: 5, fits: (payload) => isSoulseekServer(payload) || isSoulseekClient(payload) },
  winmx: { above: 2, fits: isWinmx },
  ares: { above: 5, fits: isAres },
  mute: {
    above: 200,
    fits: (payload) => [209, 345, 473, 609, 1121].includes(payload.length) && begins(payload, 'PublicKey: '),
  },
  waste: { above: 5, fits: (payload) => begins(payload, 'GET.sha1:') },
  xdcc: {
    above: 20,
    fits: (payload) =>
      payload.length < 200 && begins(payload, 'PRIVMSG ') && ends(payload, '\r\n') && holds(payload, ':xdcc send #'),
  },
};

const edonkey = 0xe3;

/** A length that counts what is behind it, and one of two kinds of greeting. */
function isEdkHello(payload: Buffer): boolean {
  const isLong = payload.readUInt16LE(1) === payload.length - 5;
  return payload[0] === edonkey && isLong && (payload[5] === 0x01 || payload[5] === 0x4c);
}

function isGnutella(payload: Buffer): boolean {
  if (!ends(payload, '\r\n')) return false;
  if (begins(payload, 'GNUTELLA/') || (payload.length >= 19 && begins(payload, 'GNUTELLA CONNECT/'))) return true;
  const isDownload = begins(payload, 'GET /get/') || begins(payload, 'GET /uri-res/');
  const hasHeader = ['\r\nX-Gnutella-', '\r\nX-Queue:', '\r\nX-Queue-'].some((header) => holds(payload, header));
  return payload.length >= 22 && isDownload && hasHeader;
}

const soulCommands: ReadonlySet<number> = new Set([
  ...[1, 2, 3, 4, 5, 7, 9, 13, 14, 15, 16, 17, 18, 22, 23, 26, 28, 35, 36, 37, 40, 41, 42, 43, 44, 45, 46, 50, 51],
  ...[60, 62, 63, 64, 65, 66, 67, 68, 69, 91, 92, 1001],
]);

/** A length that counts what is behind it, then a command. */
function isSoulseekServer(payload: Buffer): boolean {
  if (payload.length < 8 || payload.readUInt32LE(0) !== payload.length - 4) return false;
  const isShort = payload[4] === 0 && payload[7] === 0;
  const isPeer = payload[4] === 1 && payload[6] === 0 && payload[7] === 0;
  return isShort || isPeer || soulCommands.has(payload.readUInt32LE(4));
}

/** A greeting between clients: 20, 1, a name with its length, a type, a token of 0x46 or 0x50. */
function isSoulseekClient(payload: Buffer): boolean {
  if (payload.length < 19 || payload.readUInt32LE(0) !== 20 || payload[4] !== 1) return false;
  const at = 9 + payload.readUInt32LE(5);
  if (payload.length < at + 10 || payload.readUInt32LE(at) !== 1) return false;
  const kind = payload.readUInt16LE(at + 4);
  return (kind === 0x4600 || kind === 0x5000) && payload.readUInt32LE(at + 6) === 0;
}

const winmxLogin = 149;

function isWinmx(payload: Buffer): boolean {
  if ((payload.length === 4 && begins(payload, 'SEND')) || (payload.length === 3 && begins(payload, 'GET')))
    return true;
  if (payload.length < 10) return false;
  if (payload.length === winmxLogin && begins(payload, '8')) return true;
  if (!begins(payload, 'SEND') && !begins(payload, 'GET')) return false;
  // Two names in quotes, a space before each.
  const first = payload.indexOf(' "', 4, 'latin1');
  return first >= 0 && payload.indexOf(' "', first + 2, 'latin1') >= 0;
}

function isAres(payload: Buffer): boolean {
  const isLong = payload[1] === 0 && payload[0]! + 3 === payload.length;
  if (!isLong) return false;
  if (payload[2] === 0x5a) return payload.length === 6 && payload[5] === 0x05;
  return payload[2] === 0x09 && payload.length >= 14 && payload.length <= 34;
}

/** A datagram of a known length with these bytes at these places. */
export interface Datagram {
  /** Bytes; absent: what `least` says. */
  readonly length?: number;
  readonly least?: number;
  /** Lengths from `least` on that other signatures have. */
  readonly except?: readonly number[];
  readonly at: readonly (readonly [offset: number, hex: string])[];
  /** Bytes that are anything but zero. */
  readonly notZero?: readonly number[];
}

const word = (offset: number, value: number): readonly [number, string] => [
  offset,
  value.toString(16).padStart(8, '0'),
];

/** What the kernel tells as well: fixed lengths, fixed bytes. */
export const p2pDatagrams: Readonly<Partial<Record<P2pProtocol, readonly Datagram[]>>> = {
  bit: [
    { length: 36, at: [word(8, 0x400)] },
    { length: 57, at: [word(8, 0x404)] },
    { length: 59, at: [word(8, 0x406)] },
    { length: 203, at: [word(0, 0x405)] },
    { length: 44, at: [word(0, 0x827), word(4, 0x37502950)] },
    { least: 32, except: [36, 44, 57, 59, 203], at: [word(8, 0x402), word(28, 0x104)] },
    { least: 24, at: [[0, Buffer.from('d1:ad2:id20:').toString('hex')]] },
    { least: 24, at: [[0, Buffer.from('d1:rd2:id20:').toString('hex')]] },
  ],
  gnu: [
    { least: 12, at: [[0, Buffer.from('GND').toString('hex')]] },
    { least: 12, at: [[0, Buffer.from('GNUTELLA ').toString('hex')]] },
  ],
  edk: [
    { length: 34, at: [[0, 'e397']] },
    { length: 18, at: [[0, 'e39a']] },
    { length: 10, at: [[0, 'e392']] },
    { length: 35, at: [[0, 'e420']], notZero: [2, 34] },
    ...['e400', 'e410', 'e418'].map(
      (hex): Datagram => ({
        length: 27,
        at: [
          [0, hex],
          [26, '00'],
        ],
      }),
    ),
    { length: 36, at: [[0, 'e452']] },
    { length: 48, at: [[0, 'e440']] },
  ],
};

/** Search results of eDonkey: a head, then records. */
const edkRecord = { head: 44, each: 25 } as const;

function isDatagram(payload: Buffer, { length, least = 0, except = [], at, notZero = [] }: Datagram): boolean {
  if (length === undefined ? payload.length < least : payload.length !== length) return false;
  if (except.includes(payload.length)) return false;
  const fits = ([offset, hex]: readonly [number, string]): boolean =>
    payload.subarray(offset, offset + hex.length / 2).toString('hex') === hex;
  return at.every(fits) && notZero.every((offset) => payload[offset] !== 0);
}

const isOneOf = (protocol: 'bit' | 'gnu' | 'edk', payload: Buffer): boolean =>
  p2pDatagrams[protocol]!.some((known) => isDatagram(payload, known));

const udp: Readonly<Partial<Record<P2pProtocol, Signed>>> = {
  edk: {
    above: 9,
    fits: (payload) =>
      isOneOf('edk', payload) ||
      (begins(payload, '\xe4\x28') &&
        payload.length >= edkRecord.head &&
        (payload.length - edkRecord.head) % edkRecord.each === 0),
  },
  dc: {
    above: 12,
    fits: (payload) => ends(payload, '|') && (begins(payload, '$SR ') || begins(payload, '$Ping ')),
  },
  gnu: { above: 11, fits: (payload) => isOneOf('gnu', payload) },
  kazaa: { above: 14, fits: (payload) => ends(payload, 'KaZaA\0') },
  bit: { above: 23, fits: (payload) => isOneOf('bit', payload) },
};
