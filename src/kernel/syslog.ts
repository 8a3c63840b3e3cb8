/**
 * The system's log by its socket: a datagram for each line, as syslog(3) of the C library sends it. Node has no datagram
 * sockets of this kind.
 */

import { PosternError } from '../errors.js';
import { AF, CallError, fixedBuffer, lastErrno, libc, SOCK } from './layouts.js';

/** What a program may call itself. */
const facilityUser = 1;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const pathBytes = 108;

/** `<12>Nov 22 09:05:03 TAG: TEXT`, as RFC 3164 has it, without the host. @param level 0 emergency … 7 debug */
export function syslogMessage(level: number, tag: string, text: string, at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(at.getDate()).padStart(2, ' ');
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `<${facilityUser * 8 + level}>${months[at.getMonth()]} ${day} ${time} ${tag}: ${text}`;
}

export class Syslog {
  readonly #fd: number;
  readonly #address: Buffer;

  /** @throws PosternError `system` */
  constructor(path = '/dev/log') {
    if (Buffer.byteLength(path) >= pathBytes) throw new PosternError('invalid', `${path}: too long for a socket`);
    this.#fd = libc.socket(AF.UNIX, SOCK.DGRAM | SOCK.CLOEXEC | SOCK.NONBLOCK, 0);
    if (this.#fd < 0) throw new PosternError('system', `syslog: ${new CallError('socket', lastErrno()).message}`);
    this.#address = fixedBuffer(2 + pathBytes);
    this.#address.writeUInt16LE(AF.UNIX, 0);
    this.#address.write(path, 2);
  }

  /** Sends a message; false when nobody takes it now. */
  send(message: string): boolean {
    const bytes = Buffer.from(message);
    return libc.sendto(this.#fd, bytes, bytes.length, 0, this.#address, this.#address.length) >= 0;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
