/** 1 MB of random bytes to every decoder there is. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.js';
import { readListing } from '../../src/nft/read.js';
import { readMessages } from '../../src/wire/netlink.js';

type Decode = (bytes: Buffer) => unknown;
type Decoders = Readonly<Record<string, (...args: never[]) => unknown>>;

const folder = new URL('../../src/wire/', import.meta.url);
const modules = readdirSync(folder).filter((name) => name.endsWith('.js'));
const exported = await Promise.all(
  modules.map(async (name) => Object.entries((await import(new URL(name, folder).href)) as Decoders)),
);
const decoders = exported.flat().filter(([name]) => /^(read|decode)/.test(name));

/** Those that take something else beside the bytes, or a part of them. */
const otherwise: Readonly<Record<string, (decode: (...args: never[]) => unknown) => Decode>> = {
  readAcknowledgement: onMessages,
  readLinkMessage: onMessages,
  readIpsetRevision: onMessages,
  readIpsetListing: onMessages,
  readEvent: onMessages,
  readState: (decode) => (bytes) => each(bytes, (type, body) => decode(type as never, body as never)),
  readCounter: fromTo,
  readQuota: fromTo,
  decodeGeoip: (decode) => (bytes) => [4, 6].map((family) => decode(bytes as never, family as never)),
  decodeSpa2Reply: (decode) => (bytes) =>
    decode(bytes as never, Buffer.alloc(16) as never, Buffer.alloc(32) as never, 'knock' as never),
};

/** A type that the decoder knows or doesn't, and the bytes as its body. */
function each(bytes: Buffer, decode: (type: number, body: Buffer) => unknown): void {
  for (let type = 0; type < 64; type++) {
    for (const subsystem of [0, 1, 4, 6, 10]) decode((subsystem << 8) | type, bytes);
  }
}

function onMessages(decode: (...args: never[]) => unknown): Decode {
  return (bytes) => each(bytes, (type, body) => decode({ type, flags: 0x300, seq: 1, port: 0, body } as never));
}

function fromTo(decode: (...args: never[]) => unknown): Decode {
  return (bytes) => decode(bytes as never, 0 as never, bytes.length as never);
}

/** Random bytes alone seldom get far: the same behind a header that is right. */
function inputs(): Buffer[] {
  const plain = randomBytes(1 << 20);
  const message = Buffer.from(plain);
  message.writeUInt32LE(message.length, 0);
  const attributes = Buffer.from(plain);
  // Attributes of 8 bytes each, whose kind and contents are random.
  for (let at = 4; at + 8 <= attributes.length; at += 8) {
    attributes.writeUInt16LE(8, at);
    attributes[at + 2] = (attributes[at + 2] as number) & 0x1f;
  }
  return [plain, message, attributes];
}

test('every decoder answers 1 MB of random bytes, or refuses them with an error of ours', () => {
  assert.ok(decoders.length >= 25, decoders.map(([name]) => name).join());
  for (const [name, decode] of decoders) {
    const run = otherwise[name]?.(decode) ?? (decode as Decode);
    for (const bytes of inputs()) {
      try {
        run(bytes);
      } catch (error) {
        assert.ok(error instanceof PosternError, `${name}: ${error instanceof Error ? error.stack : error}`);
      }
    }
  }
});

test('what claims to be a listing of nft and is 1 MB of anything is refused', () => {
  for (const bytes of inputs()) assert.throws(() => readListing(bytes.toString('latin1')), PosternError);
  assert.throws(() => readListing(`{"nftables":[${'{"x":'.repeat(1 << 17)}`), PosternError);
  assert.throws(() => readMessages(Buffer.alloc(1 << 20)), PosternError);
});
