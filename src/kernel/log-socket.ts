/** The NFLOG groups of a program on one socket. */

import { PosternError } from '../errors.js';
import { align, CONTROL, HEADER_BYTES, MessageWriter, messageEnd, readAcknowledgement } from '../wire/netlink.js';
import {
  type LogGroupConfig,
  type LoggedPacket,
  writeBindGroup,
  writeGroupConfig,
  writeGroupThreshold,
  writeUnbindGroup,
} from '../wire/nflog.js';
import { refusalText } from './exchange.js';
import { type CallError, ERRNO, fixedBuffer } from './layouts.js';
import { type NlSocket, openNlSocket } from './nl-socket.js';

/** Room for some 100,000 small packets while the program is held up. */
const RECEIVE_BUFFER_BYTES = 32 << 20;
/** A group's datagrams; the kernel's bound is 128 KiB. */
const GROUP_BUFFER_BYTES = 128 << 10;
/** Longest wait of a packet for others, in 1/100 s: the shortest that the kernel knows. */
const TIMEOUT_CENTISECONDS = 1;

export interface PacketReader {
  packet(packet: LoggedPacket): void;
  /** A message could not be read. */
  malformed(): void;
}

export class LogSocket {
  readonly #socket: NlSocket;
  readonly #buffer = fixedBuffer(GROUP_BUFFER_BYTES + 4096);
  #seq = 1;

  /**
   * @param reader gets what is logged, also while groups are set up
   * @param packet the object that it gets, over and over
   */
  constructor(
    namespace: string | undefined,
    private readonly reader: PacketReader,
    private readonly packet: LoggedPacket,
  ) {
    this.#socket = openNlSocket({
      protocol: 'NETFILTER',
      ...(namespace === undefined ? {} : { namespace }),
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      silentOverflow: true,
    });
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * Takes a group, one packet to a datagram.
   * @throws PosternError `conflict` when another program has it, `system`.
   */
  bind(group: number, copyBytes: number): void {
    this.#ask(group, (writer, seq) => writeBindGroup(writer, seq, group));
    try {
      this.configure(group, copyBytes);
    } catch (error) {
      this.unbind(group);
      throw error;
    }
  }

  configure(group: number, copyBytes: number): void {
    const config: LogGroupConfig = {
      copyBytes,
      bufferBytes: GROUP_BUFFER_BYTES,
      threshold: 1,
      timeoutCentiseconds: TIMEOUT_CENTISECONDS,
    };
    this.#ask(group, (writer, seq) => writeGroupConfig(writer, seq, group, config));
  }

  unbind(group: number): void {
    this.#ask(group, (writer, seq) => writeUnbindGroup(writer, seq, group));
  }

  /** How many packets share a datagram from now on. The kernel's answer is not waited for. */
  setThreshold(group: number, threshold: number): void {
    const writer = new MessageWriter(64);
    writeGroupThreshold(writer, this.#seq++, group, threshold);
    this.#socket.send(writer.finish());
  }

  /** Reads at most one datagram; false when none is waiting. */
  read(): boolean {
    return this.#receive(undefined) !== 'empty';
  }

  close(): void {
    this.#socket.close();
  }

  #ask(group: number, write: (writer: MessageWriter, seq: number) => void): void {
    const seq = this.#seq++;
    const writer = new MessageWriter(128);
    write(writer, seq);
    this.#socket.send(writer.finish());
    for (;;) {
      const answer = this.#receive(seq);
      if (answer === 'answered') return;
      if (answer === 'read') continue;
      if (answer === 'empty') throw new PosternError('busy', `NFLOG group ${group}: the kernel's answer was lost`);
      throw refusal(group, answer);
    }
  }

  /** One datagram; looks for the answer to message `seq`. */
  #receive(seq: number | undefined): 'empty' | 'read' | 'answered' | Refused {
    const bytes = this.#next();
    if (bytes < 0) return 'empty';
    const datagram = this.#buffer;
    let result: 'read' | 'answered' | Refused = 'read';
    try {
      for (let at = 0, end = 0; at < bytes; at = align(end)) {
        end = messageEnd(datagram, at, bytes);
        if (this.packet.read(datagram, at, end)) this.reader.packet(this.packet);
        else if (seq !== undefined && datagram.readUInt16LE(at + 4) === CONTROL.ERROR) {
          result = answerTo(seq, datagram, at, end) ?? result;
        }
      }
    } catch {
      this.reader.malformed();
    }
    return result;
  }

  #next(): number {
    try {
      return this.#socket.receive(this.#buffer);
    } catch (error) {
      // Overflows are silent here; a datagram that is too long is one that the kernel should not have made.
      if ((error as CallError).errno !== ERRNO.EMSGSIZE) throw error;
      this.reader.malformed();
      return 0;
    }
  }
}

interface Refused {
  readonly errno: number;
  readonly text: string;
}

function answerTo(seq: number, datagram: Buffer, at: number, end: number): 'answered' | Refused | undefined {
  const acknowledgement = readAcknowledgement({
    type: CONTROL.ERROR,
    flags: datagram.readUInt16LE(at + 6),
    seq: datagram.readUInt32LE(at + 8),
    port: 0,
    body: datagram.subarray(at + HEADER_BYTES, end),
  });
  if (acknowledgement.seq !== seq) return undefined;
  return acknowledgement.errno === 0
    ? 'answered'
    : { errno: acknowledgement.errno, text: refusalText(acknowledgement) };
}

function refusal(group: number, { errno, text }: Refused): PosternError {
  if (errno === ERRNO.EPERM || errno === ERRNO.EBUSY) {
    return new PosternError(
      'conflict',
      `NFLOG group ${group}: another program has it, or this one may not (${text}); stop that program or choose another group`,
    );
  }
  return new PosternError('system', `NFLOG group ${group}: ${text}`);
}
