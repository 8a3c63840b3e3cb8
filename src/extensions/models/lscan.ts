/**
 * The connection states of xt_lscan as a pure machine: what the compiled chains do with connection mark bits, packet by
 * packet, so that both can be held against the same sequences. `--synscan` is tied to its own option, as in 1.32.
 */

export const lscanMark = {
  none: 0,
  synReceived: 1,
  closed: 2,
  synscan: 3,
  established1: 4,
  established2: 5,
  cnscan: 6,
  grscan: 7,
  valid: 8,
} as const;

/** Bit 9 of the packet mark's default: this packet was looked at already. */
export const packetSeen = 9;

export interface LscanOptions {
  readonly stealth: boolean;
  readonly synscan: boolean;
  readonly cnscan: boolean;
  readonly grscan: boolean;
  readonly mirai: boolean;
}

export interface LscanPacket {
  readonly ctState: 'none' | 'new' | 'established' | 'related' | 'reply';
  readonly loopback: boolean;
  readonly tcpFlags: number;
  readonly payloadLength: number;
  /** TCP sequence number and, for IPv4, the destination address; mirai sets one to the other. */
  readonly sequence: number;
  readonly destination?: number;
  readonly connectionMark: number;
  readonly packetMark: number;
}

export interface LscanResult {
  readonly matches: boolean;
  readonly connectionMark: number;
  readonly packetMark: number;
}

const fin = 0x01;
const syn = 0x02;
const rst = 0x04;
const psh = 0x08;
const ack = 0x10;
const urg = 0x20;

/** What one packet does to the marks, and whether the match holds for it. */
export function lscan(options: LscanOptions, packet: LscanPacket): LscanResult {
  const { connectionMark, packetMark } = packet;
  if (options.mirai && packet.destination !== undefined && packet.sequence === packet.destination) {
    return { matches: true, connectionMark, packetMark };
  }
  if (packet.ctState === 'none') {
    return { matches: options.stealth && isStealth(packet.tcpFlags), connectionMark, packetMark };
  }
  if (connectionMark !== lscanMark.valid && packetMark === packetSeen) {
    return { matches: isWanted(options, connectionMark), connectionMark, packetMark };
  }
  const mark = nextMark(packet);
  return { matches: isWanted(options, mark), connectionMark: mark, packetMark: packetSeen };
}

/** A segment of no connection that isn't the beginning or the refusal of one. */
function isStealth(flags: number): boolean {
  const handshake = flags & (fin | syn | rst | ack);
  if (handshake === (rst | ack) || (flags & (fin | syn | rst)) === rst) return false;
  return handshake !== syn;
}

function isWanted(options: LscanOptions, mark: number): boolean {
  return (
    (options.synscan && mark === lscanMark.synscan) ||
    (options.cnscan && mark === lscanMark.cnscan) ||
    (options.grscan && mark === lscanMark.grscan)
  );
}

function nextMark(packet: LscanPacket): number {
  const { tcpFlags: flags, connectionMark: mark, loopback } = packet;
  const handshake = flags & (fin | syn | rst | ack);
  const ends = flags & (fin | syn | rst);
  const closes = ends === rst || ends === fin;
  const emptyAck = handshake === ack && packet.payloadLength === 0;
  switch (mark) {
    case lscanMark.synReceived:
      if (loopback && handshake === (syn | ack)) return lscanMark.synReceived;
      if (loopback && handshake === (rst | ack)) return lscanMark.closed;
      return handshake === ack && (flags & (psh | urg)) === 0 ? lscanMark.established1 : lscanMark.synscan;
    case lscanMark.established1:
      if (closes) return lscanMark.cnscan;
      return !loopback && emptyAck ? lscanMark.established2 : lscanMark.valid;
    case lscanMark.established2:
      if (emptyAck) return lscanMark.established2;
      return closes ? lscanMark.grscan : lscanMark.valid;
    default:
      return packet.ctState === 'new' && handshake === syn ? lscanMark.synReceived : mark;
  }
}
