/** Capture files of both byte orders, and what can't be read of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPcap } from '../../src/wire/pcap.js';

interface Shape {
  readonly magic?: number;
  readonly link?: number;
  readonly little?: boolean;
  /** Bytes on the wire beyond those captured. */
  readonly missing?: number;
}

function capture(
  packets: readonly Buffer[],
  { magic = 0xa1b2c3d4, link = 101, little = true, missing = 0 }: Shape = {},
) {
  const u32 = (values: readonly number[]): Buffer => {
    const buffer = Buffer.alloc(values.length * 4);
    for (const [index, value] of values.entries()) {
      if (little) buffer.writeUInt32LE(value, index * 4);
      else buffer.writeUInt32BE(value, index * 4);
    }
    return buffer;
  };
  const head = u32([magic, 0x0004_0002, 0, 0, 65_535, link]);
  return Buffer.concat([
    head,
    ...packets.flatMap((packet) => [u32([1, 2, packet.length, packet.length + missing]), packet]),
  ]);
}

const packets = [Buffer.from('45000014', 'hex'), Buffer.from('600000', 'hex')];

test('packets come out in their order, in both byte orders and both resolutions', () => {
  for (const little of [true, false]) {
    for (const magic of [0xa1b2c3d4, 0xa1b23c4d]) {
      assert.deepEqual(readPcap(capture(packets, { little, magic })), packets, `${little} ${magic.toString(16)}`);
    }
  }
});

test('headers of the link are left out', () => {
  for (const [link, bytes] of [
    [1, 14],
    [113, 16],
    [276, 20],
  ] as const) {
    const framed = packets.map((packet) => Buffer.concat([Buffer.alloc(bytes), packet]));
    assert.deepEqual(readPcap(capture(framed, { link })), packets, `link type ${link}`);
  }
});

test('what can not be read is refused with what to do', () => {
  assert.throws(() => readPcap(Buffer.from('0a0d0d0a', 'hex')), /no pcap file; write one with: tcpdump -w/);
  assert.throws(() => readPcap(capture(packets, { link: 147 })), /link type 147/);
  assert.throws(() => readPcap(capture(packets, { missing: 10 })), /packet 1 was captured in part: use tcpdump -s 0/);
  assert.throws(() => readPcap(capture(packets).subarray(0, -1)), /packet 2 of the capture is cut/);
});

test('a file that is cut anywhere is refused or holds the packets before the cut', () => {
  const whole = capture(packets);
  for (let length = 0; length < whole.length; length++) {
    try {
      assert.ok(readPcap(whole.subarray(0, length)).length < packets.length);
    } catch (error) {
      assert.match((error as Error).name, /PosternError/, String(length));
    }
  }
});
