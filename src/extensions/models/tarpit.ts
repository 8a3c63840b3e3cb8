/**
 * What xt_TARPIT answers to a TCP segment, as a pure function: header fields in, header fields out. IPv6 is answered as
 * IPv4 is, as the manual promises; xtables-addons 3.x builds its IPv6 reply in the wrong order.
 */

export type TarpitMode = 'tarpit' | 'honeypot' | 'reset';

/** Fields of a TCP segment in host order. */
export interface TcpFields {
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
}

export interface TcpSegment extends TcpFields {
  readonly payloadLength: number;
}

const fin = 0x01;
const syn = 0x02;
const rst = 0x04;
const psh = 0x08;
const ackFlag = 0x10;

/** Acknowledged to a peer whose SYN+ACK was refused; a segment that begins with it is ours and gets no answer. */
const honeypotMarker = 0xefbeadde;

/**
 * The reply to a segment, or undefined when there is none.
 * @param draw a uniformly random unsigned 32-bit number; only honeypot mode uses it.
 */
export function tarpitReply(mode: TarpitMode, segment: TcpSegment, draw: number): TcpFields | undefined {
  switch (mode) {
    case 'tarpit':
      return hold(segment);
    case 'honeypot':
      return lure(segment, draw);
    case 'reset':
      return { flags: rst, seq: segment.ack, ack: segment.seq, window: 0 };
  }
}

/** Takes the connection and never lets it send: a window of 5 at first, then 0. */
function hold({ flags, seq, ack }: TcpSegment): TcpFields | undefined {
  if ((flags & (rst | fin)) !== 0) return undefined;
  switch (flags & (syn | ackFlag)) {
    case syn | ackFlag:
      return { flags: rst, seq: ack, ack: 0, window: 0 };
    case syn:
      return { flags: syn | ackFlag, seq: 0, ack: (seq + 1) >>> 0, window: 5 };
    case ackFlag:
      return { flags: ackFlag, seq: ack, ack: seq, window: 0 };
    default:
      return undefined;
  }
}

/** Plays a server that takes what comes and closes when asked. */
function lure(segment: TcpSegment, draw: number): TcpFields | undefined {
  const { flags, seq, ack } = segment;
  if ((flags & rst) !== 0 || seq === honeypotMarker) return undefined;
  const opened = lureOpen(segment, draw);
  if ((flags & fin) === 0) return opened;
  return { flags: (opened.flags & syn) | rst, seq: ack, ack, window: 0 };
}

function lureOpen({ flags, seq, ack, window, payloadLength }: TcpSegment, draw: number): TcpFields {
  if ((flags & (syn | ackFlag)) === (syn | ackFlag))
    return { flags: rst | psh, seq: ack, ack: honeypotMarker, window: 0 };
  if ((flags & syn) !== 0) {
    const bound = 2 ** 32 - swap32(seq);
    return { flags: syn | ackFlag, seq: draw % bound, ack: (seq + 1) >>> 0, window: jitter(window, draw) };
  }
  if ((flags & ackFlag) !== 0 && (flags & fin) === 0) {
    const taken = payloadLength > 100 ? payloadLength : 0;
    return { flags: ackFlag, seq: ack, ack: (seq + taken) >>> 0, window: jitter(window, draw) };
  }
  return { flags: 0, seq, ack, window };
}

/** The original masks the window as it lies in memory of a little-endian host with a number from -15 to 16. */
function jitter(window: number, draw: number): number {
  return swap16(swap16(window) & ((draw % 32) - 15) & 0xffff);
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

function swap32(value: number): number {
  return ((swap16(value & 0xffff) << 16) | swap16(value >>> 16)) >>> 0;
}
