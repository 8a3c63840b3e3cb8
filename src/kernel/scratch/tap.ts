/** Tap and tun devices: what is written comes in by the device, at once; what the kernel sends is read. */

import { PosternError } from '../../errors.js';
import {
  CallError,
  fixedBuffer,
  IFREQ,
  lastErrno,
  libc,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUN,
  TUN_FLAG,
} from '../layouts.js';
import type { ScratchDevice } from '../scratch.js';
import { HeldDevice } from './device.js';

const DEVICE_FILE = '/dev/net/tun';

/**
 * Makes the device in the thread's namespace, with its name and index. Undefined where /dev/net/tun may not be opened.
 * @throws PosternError `system` when the kernel refuses.
 */
export function openTap(device: ScratchDevice): HeldDevice | undefined {
  const fd = libc.open(DEVICE_FILE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    configure(fd, device);
  } catch (error) {
    libc.close(fd);
    const { message } = error as Error;
    throw new PosternError('system', `scratch device ${device.name}: ${message}`, { cause: error });
  }
  return new HeldDevice(device, fd);
}

function configure(fd: number, { name, index, mac, arpType }: ScratchDevice): void {
  const number = fixedBuffer(4);
  number.writeUInt32LE(index);
  control(fd, TUN.SETIFINDEX, number, 'TUNSETIFINDEX');
  const request = fixedBuffer(IFREQ.BYTES);
  if (request.write(name, IFREQ.NAME) >= IFREQ.NAME_BYTES) throw new Error('its name is too long');
  request.writeUInt16LE((mac === undefined ? TUN_FLAG.TUN : TUN_FLAG.TAP) | TUN_FLAG.NO_PI, IFREQ.VALUE);
  control(fd, TUN.SETIFF, request, 'TUNSETIFF');
  if (mac === undefined && arpType !== undefined) control(fd, TUN.SETLINK, BigInt(arpType), 'TUNSETLINK');
}

function control(fd: number, request: number, argument: Buffer | bigint, name: string): void {
  if (libc.ioctl(fd, request, argument) < 0) throw new CallError(name, lastErrno());
}
