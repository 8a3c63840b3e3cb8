/** Who is at the other end of a UNIX socket (unix(7), SO_PEERCRED). */

import { fixedBuffer, libc, SO, SOL, UCRED } from './layouts.js';

export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  /** Of the process that connected; it may be gone and the number taken. */
  readonly pid: number;
}

/** What the kernel answers for a socket that has no such peer. */
const nobody = 0xffff_ffff;

/** The credentials that the peer had when it connected; undefined when the kernel knows none. */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  const value = fixedBuffer(UCRED.BYTES);
  const bytes = fixedBuffer(4);
  bytes.writeUInt32LE(UCRED.BYTES);
  if (fd < 0 || libc.getsockopt(fd, SOL.SOCKET, SO.PEERCRED, value, bytes) < 0) return undefined;
  const uid = value.readUInt32LE(UCRED.UID);
  if (uid === nobody || bytes.readUInt32LE() !== UCRED.BYTES) return undefined;
  return { uid, gid: value.readUInt32LE(UCRED.GID), pid: value.readInt32LE(UCRED.PID) };
}
