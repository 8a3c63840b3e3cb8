import assert from 'node:assert/strict';
import { test } from 'node:test';
import koffi from 'koffi';
import {
  CMSGHDR,
  errnoName,
  fixedBuffer,
  IOVEC,
  MEMINFO,
  MMSGHDR,
  MSGHDR,
  POLLFD,
  SOCK_FILTER,
  SOCK_FPROG,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOCKADDR_NL,
  TIMEVAL,
} from '../../src/kernel/layouts.js';

type Fields = Readonly<Record<string, readonly [cType: string, offset: number]>>;

/** The C compiler's rules, as koffi knows them, against the offsets that the code uses. */
function assertLayout(bytes: number, fields: Fields): void {
  const struct = koffi.struct(Object.fromEntries(Object.entries(fields).map(([name, [type]]) => [name, type])));
  assert.equal(koffi.sizeof(struct), bytes);
  for (const [name, [, offset]] of Object.entries(fields)) assert.equal(koffi.offsetof(struct, name), offset, name);
}

test('struct offsets are those of C on this machine', () => {
  assertLayout(SOCKADDR_NL.BYTES, {
    family: ['uint16_t', SOCKADDR_NL.FAMILY],
    pad: ['uint16_t', 2],
    port: ['uint32_t', SOCKADDR_NL.PORT],
    groups: ['uint32_t', SOCKADDR_NL.GROUPS],
  });
  assertLayout(SOCKADDR_IN.BYTES, {
    family: ['uint16_t', SOCKADDR_IN.FAMILY],
    port: ['uint16_t', SOCKADDR_IN.PORT],
    address: ['uint32_t', SOCKADDR_IN.ADDRESS],
    zero: ['uint64_t', 8],
  });
  assertLayout(SOCKADDR_IN6.BYTES, {
    family: ['uint16_t', SOCKADDR_IN6.FAMILY],
    port: ['uint16_t', SOCKADDR_IN6.PORT],
    flow: ['uint32_t', SOCKADDR_IN6.FLOW],
    address: [koffi.array('uint8_t', 16) as unknown as string, SOCKADDR_IN6.ADDRESS],
    scope: ['uint32_t', SOCKADDR_IN6.SCOPE],
  });
  assertLayout(IOVEC.BYTES, { base: ['void *', IOVEC.BASE], length: ['size_t', IOVEC.LENGTH] });
  const msghdr: Fields = {
    name: ['void *', MSGHDR.NAME],
    nameLength: ['uint32_t', MSGHDR.NAME_LENGTH],
    iov: ['void *', MSGHDR.IOV],
    iovCount: ['size_t', MSGHDR.IOV_COUNT],
    control: ['void *', MSGHDR.CONTROL],
    controlLength: ['size_t', MSGHDR.CONTROL_LENGTH],
    flags: ['int', MSGHDR.FLAGS],
  };
  assertLayout(MSGHDR.BYTES, msghdr);
  // mmsghdr is a msghdr (with its padding) and a number.
  assert.equal(MMSGHDR.LENGTH, MSGHDR.BYTES);
  assertLayout(MMSGHDR.BYTES, { ...msghdr, pad: ['int', 52], length: ['uint32_t', MMSGHDR.LENGTH] });
  assertLayout(CMSGHDR.BYTES, {
    length: ['size_t', CMSGHDR.LENGTH],
    level: ['int', CMSGHDR.LEVEL],
    type: ['int', CMSGHDR.TYPE],
  });
  assertLayout(POLLFD.BYTES, {
    fd: ['int', POLLFD.FD],
    events: ['int16_t', POLLFD.EVENTS],
    revents: ['int16_t', POLLFD.REVENTS],
  });
  assertLayout(TIMEVAL.BYTES, { seconds: ['long', TIMEVAL.SECONDS], microseconds: ['long', TIMEVAL.MICROSECONDS] });
  assertLayout(SOCK_FILTER.BYTES, {
    code: ['uint16_t', SOCK_FILTER.CODE],
    ifTrue: ['uint8_t', SOCK_FILTER.IF_TRUE],
    ifFalse: ['uint8_t', SOCK_FILTER.IF_FALSE],
    value: ['uint32_t', SOCK_FILTER.VALUE],
  });
  assertLayout(SOCK_FPROG.BYTES, { length: ['uint16_t', SOCK_FPROG.LENGTH], filter: ['void *', SOCK_FPROG.FILTER] });
  assert.deepEqual([MEMINFO.BYTES, MEMINFO.DROPS], [9 * 4, 8 * 4]);
});

test('buffers that C keeps an address of are zeroed and off the moving heap', () => {
  for (const bytes of [1, 16, 128, 4096]) {
    const buffer = fixedBuffer(bytes);
    assert.equal(buffer.length, bytes);
    assert.ok(buffer.every((byte) => byte === 0));
    assert.ok(buffer.buffer.byteLength >= 128);
  }
});

test('error numbers have the names of errno(3)', () => {
  assert.deepEqual([2, 17, 23, 85, 105].map(errnoName), ['ENOENT', 'EEXIST', 'ENFILE', 'ERESTART', 'ENOBUFS']);
  assert.equal(errnoName(4352), 'error 4352');
});
