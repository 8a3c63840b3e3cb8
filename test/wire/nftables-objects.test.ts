import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FLAG, MessageWriter, type NetlinkMessage, readMessages } from '../../src/wire/netlink.js';
import { NFT } from '../../src/wire/nftables.js';
import { readGeneration, writeGenerationRequest } from '../../src/wire/nftables-generation.js';
import { OBJECT_TYPE, readObject, writeObjectRequest, writeQuotaObject } from '../../src/wire/nftables-objects.js';
import { assertDecoderTotal } from './corpus.js';

/** Bodies of messages between `nft` 1.0.6 and the kernel, as strace showed them. */
const TRACES = {
  /** `add quota inet t other { over 25 mbytes }` */
  newQuota:
    '01000000 06000100 74000000 0a000200 6f74686572000000 08000300 00000002 24000480 0c000100 0000000001900000 0c000400 0000000000000000 08000200 00000001',
  /** `reset counter inet t web`; what its padding held is zero here. */
  resetCounter: '01000000 06000100 74000000 08000200 77656200 08000300 00000001 04000480',
  /** The kernel's answer to it. */
  counter:
    '01000004 06000100 74000000 08000200 77656200 08000300 00000001 0c000600 0000000000000001 08000500 00000000 1c000400 0c000100 00000000000000b4 0c000200 0000000000000003',
  /** Of `add quota inet t guest { over 10 mbytes used 5 bytes }`, when it is listed. */
  quota:
    '01000004 06000100 74000000 0a000200 6775657374000000 08000300 00000002 0c000600 0000000000000002 08000500 00000000 24000400 0c000100 0000000000a00000 0c000400 0000000000000005 08000200 00000001',
  getGeneration: '00000000',
  generation: '00000001 08000100 00000001 08000200 00004b1d 08000300 6e667400',
} as const;

const INET = { family: 1, table: 't' };

function traced(name: keyof typeof TRACES): Buffer {
  return Buffer.from(TRACES[name].replaceAll(' ', ''), 'hex');
}

function written(write: (writer: MessageWriter) => void): NetlinkMessage {
  const writer = new MessageWriter();
  write(writer);
  const [message] = readMessages(writer.finish());
  return message ?? assert.fail();
}

test('the bytes of a quota are those of nft', () => {
  const object = { ...INET, name: 'other', type: OBJECT_TYPE.quota };
  const quota = { limitBytes: 25n << 20n, usedBytes: 0n, over: true };
  const { type, flags, body } = written((writer) => writeQuotaObject(writer, FLAG.CREATE, 0, object, quota));
  assert.deepEqual([type, flags], [0x0a12, 0x0401]);
  assert.equal(body.toString('hex'), traced('newQuota').toString('hex'));
});

test('a request for a counter is that of nft, without the empty value that nft puts behind it', () => {
  const object = { ...INET, name: 'web', type: OBJECT_TYPE.counter };
  const { type, body } = written((writer) => writeObjectRequest(writer, NFT.GETOBJ_RESET, 0, 0, object));
  assert.equal(type, 0x0a15);
  assert.equal(`${body.toString('hex')}04000480`, traced('resetCounter').toString('hex'));
});

test('a request for the generation is that of nft', () => {
  const { type, flags, body } = written((writer) => writeGenerationRequest(writer, 0));
  assert.deepEqual([type, flags], [0x0a10, 0x0001]);
  assert.deepEqual(body, traced('getGeneration'));
});

test('what the kernel answered to nft is read', () => {
  assert.deepEqual(readObject(traced('counter')), {
    ...{ ...INET, name: 'web', type: OBJECT_TYPE.counter },
    counter: { packets: 3n, bytes: 180n },
  });
  assert.deepEqual(readObject(traced('quota')), {
    ...{ ...INET, name: 'guest', type: OBJECT_TYPE.quota },
    quota: { limitBytes: 10n << 20n, usedBytes: 5n, over: true },
  });
  assert.deepEqual(readGeneration(traced('generation')), { id: 1, processId: 0x4b1d, processName: 'nft' });
  assertDecoderTotal(readObject, [traced('counter'), traced('quota')]);
  assertDecoderTotal(readGeneration, [traced('generation')]);
});

test('a quota reads back as it was written', () => {
  const bytes = fc.bigInt(0n, 2n ** 64n - 1n);
  const quotas = fc.record({ limitBytes: bytes, usedBytes: bytes, over: fc.boolean() });
  const names = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(names, quotas, (name, quota) => {
      const object = { ...INET, name, type: OBJECT_TYPE.quota };
      const { body } = written((writer) => writeQuotaObject(writer, 0, 1, object, quota));
      assert.deepEqual(readObject(body), { ...object, quota: { ...quota } });
    }),
  );
});
