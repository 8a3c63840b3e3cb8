import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PolicyText } from '../engine/policy-control.js';
import { PosternError } from '../errors.js';
import { openScratch } from '../kernel/open-scratch.js';
import { formatAddress, parseAddress } from '../net/address.js';
import { type AddressAnswer, addressText } from '../oracle/address.js';
import type { Answer } from '../oracle/answer.js';
import { storyText } from '../oracle/story.js';
import { lineGrammar, parseLine } from '../policy/packet-line.js';
import { readPcap } from '../wire/pcap.js';
import type { Daemon } from './client.js';
import { type Call, command } from './command.js';
import type { AskedPacket } from './live-why.js';
import { eitherOptions, runningDaemon } from './running-daemon.js';

const options = {
  policy: { type: 'string', value: 'FILE', help: 'what would this policy do? Nothing is applied' },
  pcap: { type: 'string', value: 'FILE', help: 'a packet of a capture, instead of a line' },
  number: { type: 'string', value: 'N', help: 'which packet of the capture; the first if not given' },
  hex: { type: 'string', value: 'BYTES', help: 'a packet as hex digits from its IP header on, instead of a line' },
  in: { type: 'string', value: 'INTERFACE', help: 'where the packet of --pcap or --hex comes in; host: it is our own' },
  json: { type: 'boolean', help: 'print as JSON' },
  ...eitherOptions,
} as const;

export const why = command({
  summary: 'say what becomes of a packet, or what concerns an address, and which line decides',
  args: '[WORD...]',
  about: `The words are a packet, 'tcp wan 203.0.113.5:40000 > 192.0.2.1:22 syn' (quote the '>' from the shell), or a
single address. The packet goes through the real kernel, in a network namespace that is made like this host: its
interfaces, addresses, routes, settings, the packet's connection, and of the tables what the packet can touch. Nothing of
the host is changed.

The policy is the one in force: the daemon's, and without a daemon the one that was applied last, which needs root.

Packets: ${lineGrammar}`,
  options,
  examples: [
    { command: "postern why 'tcp wan 203.0.113.5 > 192.0.2.1:22 syn'", what: 'which rule lets it in, or not?' },
    { command: "postern why --policy new.yaml 'tcp wan 203.0.113.5 > 192.0.2.1:22'", what: 'and with the new policy?' },
    { command: 'postern why 203.0.113.5', what: 'every table, ban and rule that concerns it' },
    { command: 'postern why --pcap a.pcap --number 3 --in wan', what: 'a packet that tcpdump has seen' },
  ],
  async run(call) {
    const { values, args, io } = call;
    const packet = packetIn(values) ?? (args.length === 0 ? undefined : wordsPacket(args));
    if (packet === undefined)
      throw new PosternError('usage', "which packet, or which address? See 'postern why --help'");
    const daemon = await runningDaemon(call);
    if (typeof packet === 'string') {
      const found = await (daemon?.ask<AddressAnswer>('GET', `/v1/why/${packet}`) ?? directAddress(packet, values));
      await io.out(values.json === true ? `${JSON.stringify(found)}\n` : addressText(found));
      return 0;
    }
    const answer = await (daemon === undefined ? directPacket(packet, values) : askDaemon(daemon, packet, values));
    await io.out(values.json === true ? `${JSON.stringify(answer)}\n` : storyText(answer));
    return 0;
  },
});

type Values = Call<typeof options>['values'];

/** A packet, or an address as text. @throws PosternError `invalid` with the place of the mistake. */
function wordsPacket(args: readonly string[]): AskedPacket | string {
  const line = args.join(' ');
  if (line.includes(' ')) {
    parseLine(line);
    return { line };
  }
  return formatAddress(parseAddress(line));
}

async function directPacket(packet: AskedPacket, values: Values): Promise<Answer> {
  // Its thread starts while all else is loaded and read.
  const scratch = openScratch();
  scratch.catch(() => {});
  const { askWhyDirectly } = await import('./direct-why.js');
  return askWhyDirectly(packet, values, scratch);
}

async function directAddress(address: string, values: Values): Promise<AddressAnswer> {
  const { askAddressDirectly } = await import('./direct-why.js');
  return askAddressDirectly(parseAddress(address), values);
}

async function askDaemon(daemon: Daemon, packet: AskedPacket, { policy }: Values): Promise<Answer> {
  const what =
    'line' in packet ? { packet: packet.line } : { hex: Buffer.from(packet.bytes).toString('hex'), in: packet.from };
  return daemon.ask('POST', '/v1/why', policy === undefined ? what : { ...what, policy: await policyText(policy) });
}

/** Its lists are read from beside it, wherever the daemon was started. */
async function policyText(file: string): Promise<PolicyText> {
  const { readPolicyFile } = await import('./policy-file.js');
  return readPolicyFile(resolve(file));
}

function packetIn({ pcap, hex, number = '1', in: from }: Values): AskedPacket | undefined {
  if (pcap === undefined && hex === undefined) return undefined;
  if (from === undefined) throw new PosternError('usage', 'say with --in where the packet comes in');
  return { bytes: hex === undefined ? packetOfCapture(pcap!, number) : hexBytes(hex), from };
}

function hexBytes(text: string): Uint8Array {
  const digits = text.replaceAll(/[\s:]/g, '');
  if (digits.length === 0 || digits.length % 2 === 1 || /[^0-9a-f]/i.test(digits)) {
    throw new PosternError('invalid', '--hex takes pairs of hex digits: 4500003c...');
  }
  return Buffer.from(digits, 'hex');
}

function packetOfCapture(path: string, number: string): Uint8Array {
  const packets = readPcap(readCapture(path));
  const packet = packets[Number(number) - 1];
  if (packet !== undefined) return packet;
  throw new PosternError('invalid', `${path} has ${packets.length} packets, and no number ${number}`);
}

function readCapture(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new PosternError('system', `can't read ${path}: ${(cause as Error).message}`, { cause });
  }
}
