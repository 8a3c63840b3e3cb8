import { readFileSync } from 'node:fs';
import type { CompiledPolicy } from '../engine/policy-control.js';
import { stateFile } from '../engine/state-file.js';
import { PosternError } from '../errors.js';
import { storyText } from '../oracle/story.js';
import { readPcap } from '../wire/pcap.js';
import { type Call, command } from './command.js';
import { defaultPolicy, defaultState } from './defaults.js';
import { askWhy, type WhyAsk } from './live-why.js';
import { compileText, readPolicyFile } from './policy-file.js';
import { eitherOptions } from './running-daemon.js';

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
the host is changed. Needs root.`,
  options,
  examples: [
    { command: "postern why 'tcp wan 203.0.113.5 > 192.0.2.1:22 syn'", what: 'which rule lets it in, or not?' },
    { command: "postern why --policy new.yaml 'tcp wan 203.0.113.5 > 192.0.2.1:22'", what: 'and with the new policy?' },
    { command: 'postern why 203.0.113.5', what: 'every table, ban and rule that concerns it' },
    { command: 'postern why --pcap a.pcap --number 3 --in wan', what: 'a packet that tcpdump has seen' },
  ],
  async run(call) {
    const { values, args, io } = call;
    const packet = bytesOf(values);
    if (packet === undefined && args.length === 0)
      throw new PosternError('usage', "which packet, or which address? See 'postern why --help'");
    if (packet === undefined && args.length === 1 && !args[0]!.includes(' ')) {
      const { whyAddress } = await import('./why-address.js');
      return whyAddress(call, args[0]!, await inQuestion(call));
    }
    const { compiled, loaded } = await inQuestion(call);
    const answer = await askWhy({
      compiled,
      ...(loaded !== undefined && { loaded }),
      ...(packet === undefined ? { line: args.join(' ') } : { bytes: packet }),
      ...(values.netns !== undefined && { netns: values.netns }),
    });
    await io.out(values.json === true ? `${JSON.stringify(answer)}\n` : storyText(answer));
    return 0;
  },
});

export type WhyCall = Call<typeof options>;

/** The policy that the answer is about, and what is loaded. */
export interface InQuestion {
  readonly compiled: CompiledPolicy;
  readonly loaded?: WhyAsk['loaded'];
}

/** What was applied last, unless another policy is named. */
async function inQuestion({ values }: WhyCall): Promise<InQuestion> {
  const kept = await stateFile(values.state ?? defaultState(values.netns)).read();
  const loaded = kept?.manifest;
  const source = values.policy === undefined ? kept?.source : readPolicyFile(values.policy);
  const compiled = compileText(source ?? readPolicyFile(defaultPolicy), loaded);
  return { compiled, ...(loaded !== undefined && { loaded }) };
}

function bytesOf({ pcap, hex, number = '1', in: from }: WhyCall['values']): WhyAsk['bytes'] {
  if (pcap === undefined && hex === undefined) return undefined;
  if (from === undefined) throw new PosternError('usage', 'say with --in where the packet comes in');
  const packet = hex === undefined ? packetOfCapture(pcap!, number) : hexBytes(hex);
  return { packet, from };
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
