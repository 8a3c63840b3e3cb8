/**
 * Every C function and struct layout that Postern uses, in one place: a wrong offset here crashes the process.
 * Structs are plain buffers; the offsets are those of 64-bit Linux (x86-64, arm64, riscv64; glibc and musl).
 *
 * | Struct | Bytes | Fields (offset) |
 * |---|---|---|
 * | sockaddr_nl | 12 | family u16 (0), port u32 (4), groups u32 (8) |
 * | sockaddr_in | 16 | family u16 (0), port u16be (2), address 4 bytes (4) |
 * | sockaddr_in6 | 28 | family u16 (0), port u16be (2), flow u32be (4), address 16 bytes (8), scope u32 (24) |
 * | iovec | 16 | base pointer (0), length u64 (8) |
 * | msghdr | 56 | name pointer (0), name length u32 (8), iov pointer (16), iov count u64 (24), control pointer (32), control length u64 (40), flags i32 (48) |
 * | mmsghdr | 64 | msghdr (0), bytes sent or received u32 (56) |
 * | cmsghdr | 16 | length u64 with the header (0), level i32 (8), type i32 (12); data behind it, the next at a multiple of 8 |
 * | pollfd | 8 | fd i32 (0), events i16 (4), revents i16 (6) |
 * | ucred | 12 | pid i32 (0), uid u32 (4), gid u32 (8) |
 * | sock_filter | 8 | code u16 (0), if true u8 (2), if false u8 (3), value u32 (4) |
 * | sock_fprog | 16 | length u16 (0), pointer to sock_filter (8) |
 * | timeval | 16 | seconds i64 (0), microseconds i64 (8) |
 * | ifreq | 40 | name 16 bytes (0), flags i16 or index i32 (16) |
 * | sockaddr_ll | 20 | family u16 (0), protocol u16be (2), index i32 (4), ARP type u16 (8), packet type (10), length (11), address 8 bytes (12) |
 */

import { endianness } from 'node:os';
import koffi from 'koffi';
import { PosternError } from '../errors.js';

export const SOCKADDR_NL = { BYTES: 12, FAMILY: 0, PORT: 4, GROUPS: 8 } as const;
export const SOCKADDR_IN = { BYTES: 16, FAMILY: 0, PORT: 2, ADDRESS: 4 } as const;
export const SOCKADDR_IN6 = { BYTES: 28, FAMILY: 0, PORT: 2, FLOW: 4, ADDRESS: 8, SCOPE: 24 } as const;
export const IOVEC = { BYTES: 16, BASE: 0, LENGTH: 8 } as const;
export const MSGHDR = {
  BYTES: 56,
  NAME: 0,
  NAME_LENGTH: 8,
  IOV: 16,
  IOV_COUNT: 24,
  CONTROL: 32,
  CONTROL_LENGTH: 40,
  FLAGS: 48,
} as const;
export const MMSGHDR = { BYTES: 64, HEADER: 0, LENGTH: 56 } as const;
export const CMSGHDR = { BYTES: 16, LENGTH: 0, LEVEL: 8, TYPE: 12, ALIGNMENT: 8 } as const;
export const POLLFD = { BYTES: 8, FD: 0, EVENTS: 4, REVENTS: 6 } as const;
export const UCRED = { BYTES: 12, PID: 0, UID: 4, GID: 8 } as const;
export const SOCK_FILTER = { BYTES: 8, CODE: 0, IF_TRUE: 2, IF_FALSE: 3, VALUE: 4 } as const;
export const SOCK_FPROG = { BYTES: 16, LENGTH: 0, FILTER: 8 } as const;
export const TIMEVAL = { BYTES: 16, SECONDS: 0, MICROSECONDS: 8 } as const;

export const IFREQ = { BYTES: 40, NAME: 0, NAME_BYTES: 16, VALUE: 16 } as const;
export const SOCKADDR_LL = { BYTES: 20, FAMILY: 0, PROTOCOL: 2, INDEX: 4 } as const;

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;
export const NETLINK_PROTOCOL = { ROUTE: 0, NETFILTER: 12 } as const;
export const IPPROTO_RAW = 255;
export const SOL = { SOCKET: 1, IPV6: 41, NETLINK: 270 } as const;
export const IPV6_V6ONLY = 26;
export const SO = {
  REUSEADDR: 2,
  SNDBUF: 7,
  RCVBUF: 8,
  PASSCRED: 16,
  PEERCRED: 17,
  RCVTIMEO: 20,
  BINDTODEVICE: 25,
  ATTACH_FILTER: 26,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  MARK: 36,
  MEMINFO: 55,
} as const;
/** SO_MEMINFO answers nine u32; this is the place of the drop count. */
export const MEMINFO = { BYTES: 36, DROPS: 32 } as const;
export const NETLINK_OPTION = {
  ADD_MEMBERSHIP: 1,
  DROP_MEMBERSHIP: 2,
  NO_ENOBUFS: 5,
  CAP_ACK: 10,
  EXT_ACK: 11,
  STRICT_CHECK: 12,
} as const;
export const MSG = { CTRUNC: 8, TRUNC: 0x20, DONTWAIT: 0x40, CMSG_CLOEXEC: 0x40000000 } as const;
export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 16 } as const;
export const LOCK = { EX: 2, NB: 4 } as const;
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const CLONE_NEWNET = 0x40000000;
/** Requests of tap and tun devices (linux/if_tun.h) and their flags. */
export const TUN = { SETIFF: 0x400454ca, SETLINK: 0x400454cd, SETIFINDEX: 0x400454da } as const;
export const TUN_FLAG = { TUN: 1, TAP: 2, NO_PI: 0x1000 } as const;
export const EFD = { NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

// Symbols of the process itself: glibc and musl alike, without a file name that differs between them.
const library = koffi.load(null);

type Pointer = Buffer | bigint | null;

/** The C library's functions; a negative answer is an error whose number is `koffi.errno()`. */
export const libc = {
  socket: library.func('int socket(int, int, int)') as (domain: number, type: number, protocol: number) => number,
  bind: library.func('int bind(int, void *, uint32_t)') as (fd: number, address: Buffer, bytes: number) => number,
  listen: library.func('int listen(int, int)') as (fd: number, backlog: number) => number,
  getsockname: library.func('int getsockname(int, void *, void *)') as (
    fd: number,
    address: Buffer,
    bytes: Buffer,
  ) => number,
  getpeername: library.func('int getpeername(int, void *, void *)') as (
    fd: number,
    address: Buffer,
    bytes: Buffer,
  ) => number,
  setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)') as (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    bytes: number,
  ) => number,
  getsockopt: library.func('int getsockopt(int, int, int, void *, void *)') as (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    bytes: Buffer,
  ) => number,
  send: library.func('long send(int, void *, size_t, int)') as (
    fd: number,
    data: Uint8Array,
    bytes: number,
    flags: number,
  ) => number,
  recv: library.func('long recv(int, void *, size_t, int)') as (
    fd: number,
    data: Pointer,
    bytes: number,
    flags: number,
  ) => number,
  recvmsg: library.func('long recvmsg(int, void *, int)') as (fd: number, message: Pointer, flags: number) => number,
  recvmmsg: library.func('int recvmmsg(int, void *, uint32_t, int, void *)') as (
    fd: number,
    messages: Pointer,
    count: number,
    flags: number,
    timeout: Pointer,
  ) => number,
  sendmmsg: library.func('int sendmmsg(int, void *, uint32_t, int)') as (
    fd: number,
    messages: Pointer,
    count: number,
    flags: number,
  ) => number,
  poll: library.func('int poll(void *, unsigned long, int)') as (
    fds: Buffer,
    count: number,
    timeoutMs: number,
  ) => number,
  eventfd: library.func('int eventfd(uint32_t, int)') as (initial: number, flags: number) => number,
  read: library.func('long read(int, void *, size_t)') as (fd: number, data: Buffer, bytes: number) => number,
  write: library.func('long write(int, void *, size_t)') as (fd: number, data: Buffer, bytes: number) => number,
  open: library.func('int open(const char *, int)') as (path: string, flags: number) => number,
  close: library.func('int close(int)') as (fd: number) => number,
  setns: library.func('int setns(int, int)') as (fd: number, type: number) => number,
  flock: library.func('int flock(int, int)') as (fd: number, operation: number) => number,
  unshare: library.func('int unshare(int)') as (flags: number) => number,
  ioctl: library.func('int ioctl(int, unsigned long, void *)') as (
    fd: number,
    request: number,
    argument: Buffer | bigint,
  ) => number,
  sendto: library.func('long sendto(int, void *, size_t, int, void *, uint32_t)') as (
    fd: number,
    data: Uint8Array,
    bytes: number,
    flags: number,
    address: Buffer,
    addressBytes: number,
  ) => number,
  setfsuid: library.func('int setfsuid(uint32_t)') as (uid: number) => number,
} as const;

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  ENOSPC: 28,
  ERANGE: 34,
  ERESTART: 85,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ENOBUFS: 105,
} as const;

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** `ENOENT` for 2; the number itself when the C library has no name for it. */
export function errnoName(errno: number): string {
  return errno === ERRNO.ERESTART ? 'ERESTART' : (errnoNames.get(errno) ?? `error ${errno}`);
}

/** A C call that failed; callers turn it into a PosternError that says what was being done. */
export class CallError extends Error {
  override readonly name = 'CallError';

  constructor(
    readonly call: string,
    readonly errno: number,
  ) {
    super(`${call}: ${errnoName(errno)}`);
  }
}

/** Error number of the last call; ask at once after it. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Address of a buffer. The caller keeps the buffer referenced for as long as the address is in use. */
export function addressOf(buffer: Buffer): bigint {
  return koffi.address(buffer);
}

/** A buffer whose memory never moves (V8 may move small ones), filled with zeroes. */
export function fixedBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, 128)).fill(0).subarray(0, bytes);
}

/** @throws PosternError `unsupported` on a big-endian or 32-bit machine, whose layouts are others. */
export function assertLayouts(): void {
  if (endianness() === 'LE' && koffi.sizeof('void *') === 8) return;
  throw new PosternError('unsupported', 'Postern runs on 64-bit little-endian machines (x86-64, arm64, riscv64) only');
}
