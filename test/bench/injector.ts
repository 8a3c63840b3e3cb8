/**
 * A generator of packets that costs next to nothing: the kernel itself makes them (BPF_PROG_TEST_RUN with live frames,
 * Linux 5.18) and hands them to a device as received, 64 at a time, as a driver does. No sender, no link and no system
 * call per packet: what `run` measures is the way of a packet from the device's ingress to where it ends, its answer's
 * way out included, on the calling thread's CPU. Some 50 ns of it are the generator's.
 *
 *     const injector = new Injector(firewall.name, 'wan', packet, { addresses: 256, ports: 1024 });
 *     const nsAPacket = injector.run(400_000);
 *     injector.close();
 *
 * Needs root.
 */

import koffi from 'koffi';
import { AF, addressOf, CallError, fixedBuffer, IFREQ, lastErrno, libc, SOCK } from '../../src/kernel/layouts.js';
import { inNamespace, inScratchNamespace } from '../../src/kernel/netns.js';
import { encodeFrame } from '../../src/wire/ethernet.js';
import { encodePacket, type Packet } from '../../src/wire/packet.js';
import { frameProgram, type Sources } from './xdp-program.js';

/** Number of bpf(2): x86-64 has its own, later machines share one. */
const SYS_BPF = process.arch === 'x64' ? 321 : 280;
const COMMAND = { PROG_LOAD: 5, PROG_TEST_RUN: 10, LINK_CREATE: 28 } as const;
const PROG_TYPE_XDP = 6;
const ATTACH_XDP = 37;
const GENERIC_MODE = 2;
const LOOPBACK = 1;
const LIVE_FRAMES = 2;
/** bpf_attr of the commands (linux/bpf.h), and xdp_md. */
const LOAD = {
  BYTES: 128,
  TYPE: 0,
  COUNT: 4,
  INSTRUCTIONS: 8,
  LICENSE: 16,
  LOG_LEVEL: 24,
  LOG_BYTES: 28,
  LOG: 32,
} as const;
const RUN = {
  BYTES: 128,
  PROGRAM: 0,
  DATA_BYTES: 8,
  DATA: 16,
  REPEAT: 32,
  NANOSECONDS: 36,
  CONTEXT_BYTES: 40,
  CONTEXT: 48,
  FLAGS: 64,
} as const;
const LINK = { BYTES: 64, PROGRAM: 0, DEVICE: 4, ATTACH: 8, FLAGS: 12 } as const;
const CONTEXT = { BYTES: 24, DATA_END: 4, DEVICE: 12 } as const;
const INSTRUCTION_BYTES = 8;
const MAX_LOG_BYTES = 65_536;

const bpf = koffi.load(null).func('long syscall(long, long, void *, long)') as (
  number: number,
  command: number,
  attributes: Buffer,
  bytes: number,
) => number;

const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
/** Who the frames say they are from: a neighbour of nobody. */
const neighbour = Buffer.from('020000000002', 'hex');

export class Injector {
  readonly #program: number;
  readonly #links: readonly number[];
  /** The attributes point to it. */
  readonly #frame: Buffer;
  readonly #context = fixedBuffer(CONTEXT.BYTES);
  readonly #attributes = fixedBuffer(RUN.BYTES);

  /**
   * @param packet for the device, whatever its address says
   * @param sources the packet's own is the first of them; absent: all packets are the same
   * @throws Error when the kernel refuses the program: without root, or before Linux 5.18
   */
  constructor(
    private readonly namespace: string,
    device: string,
    packet: Packet,
    sources?: Sources,
  ) {
    const { index, mac } = inNamespace(namespace, () => deviceOf(device));
    const frame = encodeFrame(mac, neighbour, encodePacket(packet));
    this.#program = loadProgram(frameProgram(index, frame, sources));
    this.#links = inScratchNamespace(() => linkToLoopback(this.#program));
    this.#frame = fixedBuffer(frame.length);
    this.#frame.set(frame);
    this.#context.writeUInt32LE(frame.length, CONTEXT.DATA_END);
    this.#context.writeUInt32LE(index, CONTEXT.DEVICE);
    this.#attributes.writeUInt32LE(this.#program, RUN.PROGRAM);
    this.#attributes.writeUInt32LE(frame.length, RUN.DATA_BYTES);
    this.#attributes.writeBigUInt64LE(addressOf(this.#frame), RUN.DATA);
    this.#attributes.writeUInt32LE(CONTEXT.BYTES, RUN.CONTEXT_BYTES);
    this.#attributes.writeBigUInt64LE(addressOf(this.#context), RUN.CONTEXT);
    this.#attributes.writeUInt32LE(LIVE_FRAMES, RUN.FLAGS);
  }

  /** Lets the device receive so many packets, one after the other. @returns nanoseconds that one took */
  run(packets: number): number {
    this.#attributes.writeUInt32LE(packets, RUN.REPEAT);
    inNamespace(this.namespace, () => call('BPF_PROG_TEST_RUN', COMMAND.PROG_TEST_RUN, this.#attributes));
    return this.#attributes.readUInt32LE(RUN.NANOSECONDS);
  }

  close(): void {
    for (const fd of [...this.#links, this.#program]) libc.close(fd);
  }
}

function call(name: string, command: number, attributes: Buffer): number {
  const answer = bpf(SYS_BPF, command, attributes, attributes.length);
  if (answer < 0) throw new CallError(name, lastErrno());
  return answer;
}

function loadProgram(instructions: Buffer): number {
  const code = fixedBuffer(instructions.length);
  code.set(instructions);
  const license = fixedBuffer(8);
  license.write('MIT');
  const log = fixedBuffer(MAX_LOG_BYTES);
  const attributes = fixedBuffer(LOAD.BYTES);
  attributes.writeUInt32LE(PROG_TYPE_XDP, LOAD.TYPE);
  attributes.writeUInt32LE(code.length / INSTRUCTION_BYTES, LOAD.COUNT);
  attributes.writeBigUInt64LE(addressOf(code), LOAD.INSTRUCTIONS);
  attributes.writeBigUInt64LE(addressOf(license), LOAD.LICENSE);
  attributes.writeUInt32LE(1, LOAD.LOG_LEVEL);
  attributes.writeUInt32LE(MAX_LOG_BYTES, LOAD.LOG_BYTES);
  attributes.writeBigUInt64LE(addressOf(log), LOAD.LOG);
  try {
    return call('BPF_PROG_LOAD', COMMAND.PROG_LOAD, attributes);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${log.toString('latin1', 0, log.indexOf(0))}`, { cause: error });
  }
}

/**
 * Where it does nothing, in a namespace that a socket keeps. A program that stands nowhere is put into the kernel's
 * dispatcher for each run and taken out again, which waits 25 ms for all CPUs.
 */
function linkToLoopback(program: number): readonly number[] {
  const attributes = fixedBuffer(LINK.BYTES);
  attributes.writeUInt32LE(program, LINK.PROGRAM);
  attributes.writeUInt32LE(LOOPBACK, LINK.DEVICE);
  attributes.writeUInt32LE(ATTACH_XDP, LINK.ATTACH);
  attributes.writeUInt32LE(GENERIC_MODE, LINK.FLAGS);
  return [call('BPF_LINK_CREATE', COMMAND.LINK_CREATE, attributes), libc.socket(AF.INET, SOCK.DGRAM, 0)];
}

function deviceOf(name: string): { readonly index: number; readonly mac: Buffer } {
  const fd = libc.socket(AF.INET, SOCK.DGRAM, 0);
  const ask = (command: number): Buffer => {
    const request = fixedBuffer(IFREQ.BYTES);
    request.write(name, IFREQ.NAME);
    if (libc.ioctl(fd, command, request) < 0) throw new CallError(`device ${name}`, lastErrno());
    return request;
  };
  try {
    const mac = ask(SIOCGIFHWADDR).subarray(IFREQ.VALUE + 2, IFREQ.VALUE + 8);
    return { index: ask(SIOCGIFINDEX).readInt32LE(IFREQ.VALUE), mac };
  } finally {
    libc.close(fd);
  }
}
