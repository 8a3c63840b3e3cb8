/**
 * Ethernet frames (IEEE 802.3): 0: destination (6 bytes), 6: source (6 bytes), 12: type u16 big-endian, 14: payload.
 */

export const ETHERTYPE = { IPV4: 0x0800, IPV6: 0x86dd } as const;
const HEADER_BYTES = 14;

export interface Frame {
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  readonly type: number;
  readonly payload: Uint8Array;
}

/** An IP packet in a frame; the type follows its version. */
export function encodeFrame(destination: Uint8Array, source: Uint8Array, packet: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + packet.length);
  frame.set(destination, 0);
  frame.set(source, 6);
  frame.writeUInt16BE((packet[0] ?? 0) >> 4 === 6 ? ETHERTYPE.IPV6 : ETHERTYPE.IPV4, 12);
  frame.set(packet, HEADER_BYTES);
  return frame;
}

/** Undefined when it is shorter than its header. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  return {
    destination: bytes.subarray(0, 6),
    source: bytes.subarray(6, 12),
    type: ((bytes[12] as number) << 8) | (bytes[13] as number),
    payload: bytes.subarray(HEADER_BYTES),
  };
}
