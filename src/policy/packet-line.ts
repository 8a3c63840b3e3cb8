/** Packets in one line, as people write them: `tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn`. */

import { asPosternError, PosternError } from '../errors.js';
import { type Address, parseAddress } from '../net/address.js';
import { parsePort } from '../net/port.js';
import { parseProtocol } from '../net/protocol.js';
import { type Packet, PROTOCOL, TCP_FLAGS } from '../wire/packet.js';
import type { PacketLine } from './ast.js';
import { icmpNumbers } from './formats/icmp.js';

export const lineGrammar = `PROTOCOL INTERFACE SOURCE[:PORT] > DESTINATION[:PORT] [FLAGS | MESSAGE] [OPTION VALUE]...
  PROTOCOL     tcp, udp, icmp, icmpv6, or another one by name or number
  INTERFACE    where the packet comes in; host: the packet is the host's own
  ADDRESS      192.0.2.1, 192.0.2.1:22, 2001:db8::1, [2001:db8::1]:22; a source port left out is a fresh one
  FLAGS        of tcp: syn (if left out), syn,ack, fin, rst, psh, ack, urg, ece, cwr, none
  MESSAGE      of icmp: echo-request (if left out), echo-reply, unreachable/port, 3/4 ...
  OPTION       ttl N, tos N, size BYTES (of the payload), data TEXT; of the host's own packets: mark N, uid N`;

/** A line that can't be read. `column` counts from 1. */
export class LineError extends PosternError {
  constructor(
    readonly column: number,
    readonly problem: string,
    line: string,
  ) {
    super(
      'invalid',
      `${problem}\n  ${line}\n  ${' '.repeat(column - 1)}^ column ${column}\nwrite it as: ${lineGrammar}`,
      {
        details: { column, problem },
      },
    );
  }
}

interface Word {
  readonly text: string;
  readonly column: number;
}

/** The word of the host's own packets, in place of an interface. */
const OWN = 'host';
const SYN = 2;
const MOST_PAYLOAD_BYTES = 60_000;

/** @throws LineError */
export function parseLine(line: string): PacketLine {
  return new LineReader(line).read();
}

class LineReader {
  readonly #words: Word[];
  #next = 0;

  constructor(private readonly line: string) {
    this.#words = [...line.matchAll(/\S+/g)].map((found) => ({ text: found[0], column: found.index + 1 }));
  }

  read(): PacketLine {
    const protocolWord = this.#take('a protocol');
    const protocol = this.#convert(protocolWord, parseProtocol);
    const from = this.#take('the interface where the packet comes in');
    const sender = this.#take('the source address');
    const source = this.#end(sender, protocol);
    const arrow = this.#take('">"');
    if (arrow.text !== '>') throw this.#wrong(arrow, `">" stands between source and destination, not "${arrow.text}"`);
    const target = this.#take('the destination address');
    const destination = this.#end(target, protocol);
    if (source.address.family !== destination.address.family) {
      throw this.#wrong(target, 'source and destination are not of the same family');
    }
    const { family } = source.address;
    const isIcmp = protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6;
    const own = isIcmp ? (family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6) : protocol;
    return {
      protocol: own,
      ...(from.text !== OWN && { from: from.text }),
      source: source.address,
      destination: destination.address,
      ...(source.port !== undefined && { sourcePort: source.port }),
      ...(destination.port !== undefined && { destinationPort: this.#portOf(destination, target, own) }),
      ...this.#needsPort(own, destination.port, target),
      ...this.#tail(own, family, from.text === OWN),
    };
  }

  #needsPort(protocol: number, port: number | undefined, at: Word): object {
    if (port !== undefined || (protocol !== PROTOCOL.TCP && protocol !== PROTOCOL.UDP)) return {};
    throw this.#wrong({ ...at, column: at.column + at.text.length }, 'a destination port is missing, as in :22');
  }

  #portOf({ port }: { port: number | undefined }, at: Word, protocol: number): number | undefined {
    if (protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP) return port;
    throw this.#wrong(at, 'only tcp and udp have ports');
  }

  #end(word: Word, protocol: number): { address: Address; port: number | undefined } {
    const found =
      /^\[([^\]]*)\](?::(.*))?$/.exec(word.text) ??
      (word.text.split(':').length <= 2 ? /^([^:]*)(?::(.*))?$/.exec(word.text) : null);
    const [, host = word.text, service] = found ?? [];
    const offset = word.text.startsWith('[') ? 1 : 0;
    const address = this.#convert({ text: host, column: word.column + offset }, parseAddress);
    if (service === undefined) return { address, port: undefined };
    const column = word.column + word.text.length - service.length;
    const port = this.#convert({ text: service, column }, (text) =>
      parsePort(text, protocol === PROTOCOL.UDP ? 'udp' : 'tcp'),
    );
    return { address, port };
  }

  #tail(protocol: number, family: 4 | 6, isOwn: boolean): Pick<PacketLine, 'payload'> & Partial<PacketLine> {
    const rest: { -readonly [K in keyof PacketLine]?: PacketLine[K] } = {};
    let payload: Uint8Array = new Uint8Array(0);
    if (protocol === PROTOCOL.TCP) rest.flags = SYN;
    if (protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6)
      rest.icmp = { type: family === 4 ? 8 : 128, code: 0 };
    while (this.#next < this.#words.length) {
      const word = this.#take('an option');
      if (word.text === 'ttl' || word.text === 'tos') rest[word.text] = this.#number(word, 255);
      else if (word.text === 'size') payload = new Uint8Array(this.#number(word, MOST_PAYLOAD_BYTES)).fill(0x78);
      else if (word.text === 'data') payload = Buffer.from(this.#take('the text of data').text);
      else if (word.text === 'mark' || word.text === 'uid') {
        if (!isOwn) throw this.#wrong(word, `only packets of the host itself have a ${word.text}`);
        rest[word.text] = this.#number(word, 0xffff_ffff);
      } else if (protocol === PROTOCOL.TCP) rest.flags = this.#flags(word);
      else if (rest.icmp !== undefined) rest.icmp = this.#message(word, family);
      else throw this.#wrong(word, `"${word.text}" has no place here`);
    }
    return { ...rest, payload };
  }

  #flags(word: Word): number {
    if (word.text === 'none') return 0;
    let column = word.column;
    let flags = 0;
    for (const name of word.text.split(',')) {
      const bit = (TCP_FLAGS as readonly string[]).indexOf(name);
      if (bit < 0) throw this.#wrong({ text: name, column }, `"${name}" is neither a TCP flag nor an option`);
      flags |= 1 << bit;
      column += name.length + 1;
    }
    return flags;
  }

  #message(word: Word, family: 4 | 6): { type: number; code: number } {
    const both = icmpNumbers(word.text);
    const found = family === 4 ? both?.v4 : both?.v6;
    if (found !== undefined) return { type: found.type, code: found.code ?? 0 };
    throw this.#wrong(word, `"${word.text}" is no ICMP message of ${family === 4 ? 'IPv4' : 'IPv6'}`);
  }

  #number(option: Word, most: number): number {
    const word = this.#take(`the value of ${option.text}`);
    const value = /^(?:0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(word.text) ? Number(word.text) : -1;
    if (value < 0 || value > most) throw this.#wrong(word, `${option.text} is a number from 0 to ${most}`);
    return value;
  }

  #convert<T>(word: Word, convert: (text: string) => T): T {
    try {
      return convert(word.text);
    } catch (error) {
      throw this.#wrong(word, asPosternError(error).message);
    }
  }

  #take(what: string): Word {
    const word = this.#words[this.#next];
    if (word === undefined) {
      throw new LineError(this.line.trimEnd().length + 1, `the packet ends here, and ${what} is missing`, this.line);
    }
    this.#next++;
    return word;
  }

  #wrong({ column }: Word, problem: string): LineError {
    return new LineError(column, problem, this.line);
  }
}

/** @param freshPort a source port that no packet before had, for lines without one. */
export function packetOf(line: PacketLine, freshPort: () => number): Packet {
  const { source, destination, protocol, ttl, tos, payload, icmp } = line;
  const ports = (): { sourcePort: number; destinationPort: number } => ({
    sourcePort: line.sourcePort ?? freshPort(),
    destinationPort: line.destinationPort ?? 0,
  });
  return {
    ...{ source, destination, protocol, payload },
    ...(ttl !== undefined && { ttl }),
    ...(tos !== undefined && { tos }),
    ...(protocol === PROTOCOL.TCP && { tcp: { ...ports(), flags: line.flags ?? SYN } }),
    ...(protocol === PROTOCOL.UDP && { udp: ports() }),
    ...(icmp !== undefined && { icmp: { ...icmp, rest: Uint8Array.of(0, 7, 0, 1) } }),
  };
}
