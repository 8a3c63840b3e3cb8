/** Ethernet addresses. */

import { invalid } from './text.js';

/** One address of 48 bits, read as an unsigned big-endian integer. */
export interface Mac {
  readonly value: number;
}

/**
 * Reads six pairs of hex digits with `:` or `-` between them.
 * @throws PosternError `invalid`.
 */
export function parseMac(text: string): Mac {
  if (!/^[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}$/.test(text)) {
    throw invalid(text, 'is not an Ethernet address; write it as 00:00:5e:00:53:01');
  }
  return { value: Number.parseInt(text.replaceAll(/[:-]/g, ''), 16) };
}

/** Small letters, with colons. */
export function formatMac(mac: Mac): string {
  return mac.value
    .toString(16)
    .padStart(12, '0')
    .replaceAll(/..(?!$)/g, '$&:');
}

/** Six bytes in the order of the wire. */
export function macBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  new DataView(bytes.buffer).setUint16(0, Math.floor(mac.value / 0x1_0000_0000));
  new DataView(bytes.buffer).setUint32(2, mac.value % 0x1_0000_0000);
  return bytes;
}
