/**
 * An XDP program that makes one packet of a generator: it writes a whole frame, each time from another source. Pure.
 * Instructions are those of eBPF (linux/bpf.h): 8 bytes, 0: opcode u8, 1: registers (destination low, source high nibble),
 * 2: offset i16, 4: immediate i32.
 */

/** Which part of a frame's source changes from packet to packet, at random; powers of two. */
export interface Sources {
  /** Addresses, from the frame's on, whose last 16 bits don't overflow by that. */
  readonly addresses: number;
  /** Ports, from the frame's on, without overflow. */
  readonly ports: number;
}

const ETHERNET_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const IPV4 = { CHECKSUM: 10, PROTOCOL: 9, SOURCE_LOW: 14, BYTES: 20 } as const;
const IPV6 = { PROTOCOL: 6, SOURCE_LOW: 22, BYTES: 40 } as const;
/** Where TCP and UDP have their checksum. */
const CHECKSUM_AT: ReadonlyMap<number, number> = new Map([
  [6, 16],
  [17, 6],
]);

const OP = {
  LOAD_WORD: 0x61,
  LOAD_IMMEDIATE: 0x18,
  STORE_DOUBLE: 0x7b,
  STORE_HALF: 0x6b,
  STORE_IMMEDIATE: { 4: 0x62, 2: 0x6a, 1: 0x72 },
  MOVE: 0xbf,
  MOVE_IMMEDIATE: 0xb7,
  ADD: 0x0f,
  ADD_IMMEDIATE: 0x07,
  SUBTRACT: 0x1f,
  AND_IMMEDIATE: 0x57,
  SHIFT_RIGHT: 0x77,
  TO_BIG_ENDIAN: 0xdc,
  JUMP_IF_AT_MOST: 0xbd,
  JUMP_IF_IMMEDIATE: 0x15,
  CALL: 0x85,
  EXIT: 0x95,
} as const;
/** xdp_md: 0: data u32, 4: data_end u32, 12: ingress_ifindex u32. */
const DATA = 0;
const DATA_END = 4;
const DEVICE = 12;
const PRANDOM_U32 = 7;
const XDP_DROP = 1;
const XDP_PASS = 2;

/** r0 of a call, scratch, what the address and the port are moved by, and the frame with its end. */
const [R0, R1, R2, R3, R4, FRAME, END] = [0, 1, 2, 3, 4, 6, 7] as const;

class Program {
  readonly #bytes: Buffer[] = [];

  add(opcode: number, destination = 0, source = 0, offset = 0, immediate = 0): void {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt8(opcode, 0);
    bytes.writeUInt8(destination | (source << 4), 1);
    bytes.writeInt16LE(offset, 2);
    bytes.writeInt32LE(immediate | 0, 4);
    this.#bytes.push(bytes);
  }

  finish(): Buffer {
    return Buffer.concat(this.#bytes);
  }
}

/**
 * The program that turns whatever a buffer holds (the generator uses them again and again, as the last receiver left
 * them) into `frame`, with another source and the checksums that go with it, and passes it on as received.
 * What comes in by another device than this one is passed on as it is.
 * @param device index of the device that the generator gives the packets to
 * @param frame Ethernet with IPv4 (no options, when the source is to change) or IPv6, TCP or UDP, right checksums
 * @param sources absent: always the same frame
 */
export function frameProgram(device: number, frame: Buffer, sources: Sources | undefined): Buffer {
  const program = new Program();
  program.add(OP.LOAD_WORD, R2, R1, DEVICE);
  program.add(OP.MOVE_IMMEDIATE, R0, 0, 0, XDP_PASS);
  program.add(OP.JUMP_IF_IMMEDIATE, R2, 0, 1, device);
  program.add(OP.EXIT);
  program.add(OP.LOAD_WORD, FRAME, R1, DATA);
  program.add(OP.LOAD_WORD, END, R1, DATA_END);
  program.add(OP.MOVE, R2, FRAME);
  program.add(OP.ADD_IMMEDIATE, R2, 0, 0, frame.length);
  program.add(OP.MOVE_IMMEDIATE, R0, 0, 0, XDP_DROP);
  // The verifier wants to see that the frame fits.
  program.add(OP.JUMP_IF_AT_MOST, R2, END, 1);
  program.add(OP.EXIT);
  writeFrame(program, frame);
  if (sources !== undefined) varySource(program, frame, sources);
  program.add(OP.MOVE_IMMEDIATE, R0, 0, 0, XDP_PASS);
  program.add(OP.EXIT);
  return program.finish();
}

function writeFrame(program: Program, frame: Buffer): void {
  let at = 0;
  for (; at + 8 <= frame.length; at += 8) {
    program.add(OP.LOAD_IMMEDIATE, R2, 0, 0, frame.readInt32LE(at));
    program.add(0, 0, 0, 0, frame.readInt32LE(at + 4));
    program.add(OP.STORE_DOUBLE, FRAME, R2, at);
  }
  for (const bytes of [4, 2, 1] as const) {
    if (at + bytes > frame.length) continue;
    program.add(OP.STORE_IMMEDIATE[bytes], FRAME, 0, at, frame.readIntLE(at, bytes));
    at += bytes;
  }
}

/** Adds a random number to the address and one to the port, and takes both from the checksums. */
function varySource(program: Program, frame: Buffer, { addresses, ports }: Sources): void {
  const four = frame.readUInt16BE(12) === ETHERTYPE_IPV4;
  const header = four ? IPV4 : IPV6;
  const transportAt = ETHERNET_BYTES + header.BYTES;
  const checksumAt = CHECKSUM_AT.get(frame[ETHERNET_BYTES + header.PROTOCOL]!);
  if (checksumAt === undefined) throw new RangeError('neither TCP nor UDP');
  program.add(OP.CALL, 0, 0, 0, PRANDOM_U32);
  program.add(OP.MOVE, R3, R0);
  program.add(OP.AND_IMMEDIATE, R3, 0, 0, addresses - 1);
  program.add(OP.MOVE, R4, R0);
  program.add(OP.SHIFT_RIGHT, R4, 0, 0, 16);
  program.add(OP.AND_IMMEDIATE, R4, 0, 0, ports - 1);
  addTo(program, frame, ETHERNET_BYTES + header.SOURCE_LOW, R3, addresses);
  addTo(program, frame, transportAt, R4, ports);
  if (four) takeFrom(program, frame, ETHERNET_BYTES + IPV4.CHECKSUM, R3);
  program.add(OP.ADD, R3, R4);
  takeFrom(program, frame, transportAt + checksumAt, R3);
}

function addTo(program: Program, frame: Buffer, at: number, register: number, span: number): void {
  const base = frame.readUInt16BE(at);
  if (base + span > 0x1_0000) throw new RangeError(`${base} + ${span} overflows`);
  program.add(OP.MOVE, R2, register);
  program.add(OP.ADD_IMMEDIATE, R2, 0, 0, base);
  storeHalf(program, at);
}

/** In one's complement: the carry comes back in at the other end (RFC 1624). */
function takeFrom(program: Program, frame: Buffer, at: number, register: number): void {
  program.add(OP.MOVE_IMMEDIATE, R2, 0, 0, frame.readUInt16BE(at) + 0xffff);
  program.add(OP.SUBTRACT, R2, register);
  program.add(OP.MOVE, R0, R2);
  program.add(OP.SHIFT_RIGHT, R0, 0, 0, 16);
  program.add(OP.AND_IMMEDIATE, R2, 0, 0, 0xffff);
  program.add(OP.ADD, R2, R0);
  storeHalf(program, at);
}

function storeHalf(program: Program, at: number): void {
  program.add(OP.TO_BIG_ENDIAN, R2, 0, 0, 16);
  program.add(OP.STORE_HALF, FRAME, R2, at);
}
