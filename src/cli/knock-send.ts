/** `postern knock send`: knocks at a host, by a sequence of ports or by a signed datagram. */

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '../errors.js';
import { parseAddress } from '../net/address.js';
import { encodeSpa, spaMinute } from '../wire/spa.js';
import { command } from './command.js';
import { type Target, targetOf, touchTcp, withUdp } from './datagram.js';
import { defaultPolicy } from './defaults.js';
import { checkDoor } from './knock-check.js';
import { knockOfPolicy } from './knock-policy.js';
import { clientOptions, sendAsClient } from './knock-send-client.js';

const defaultDelayMs = 200;

export const send = command({
  summary: 'knock at a host; with --check status 1 when the door stays shut',
  args: 'HOST [KNOCK]',
  about: `KNOCK is a knock of the policy file. Without it, --ports, --spa or --client say how to knock. HOST may be '-' with
--client: its file names one.

The secret of a signed datagram is the file's content without a newline at its end. The datagram is signed for the address
that it leaves from: it can't cross a translation of addresses. A client's own can.

Nothing is answered: status 0 says that the knock was sent, and with --check that the door is as it should be.`,
  options: {
    policy: { type: 'string', value: 'FILE', help: `the policy that has KNOCK; ${defaultPolicy} if not given` },
    ports: { type: 'string', value: 'P,P...', help: 'knock at these ports in this order' },
    udp: { type: 'boolean', help: 'by UDP, not by TCP' },
    delay: { type: 'string', value: 'MS', help: `milliseconds between two knocks; ${defaultDelayMs} if not given` },
    spa: { type: 'string', value: 'PORT', help: 'send a signed datagram to this port' },
    'secret-file': { type: 'string', value: 'FILE', help: 'its secret' },
    ...clientOptions,
    close: { type: 'boolean', help: 'close the door; with KNOCK, signed with its close secret' },
    source: { type: 'string', value: 'ADDRESS', help: 'send from this address' },
    check: { type: 'string', value: 'HOST:PORT', help: 'tell whether this port takes connections then' },
    ipv4: { type: 'boolean', short: '4', help: 'IPv4 only' },
    ipv6: { type: 'boolean', short: '6', help: 'IPv6 only' },
  },
  examples: [
    {
      command: 'postern knock send gate.example --ports 4002,4001,4004 --check gate.example:22',
      what: 'knocks, then tries ssh',
    },
    {
      command: 'postern knock send gate.example --spa 4000 --secret-file ~/.ftp.open',
      what: 'sends one signed datagram',
    },
    { command: 'postern knock send - --client ~/.vpn.json --for 2h', what: 'knocks as an enrolled client' },
  ],
  async run({ args, values, io }) {
    const [host = '', name] = args;
    const family: 4 | 6 | undefined = values.ipv4 === true ? 4 : values.ipv6 === true ? 6 : undefined;
    const from = { ...(family && { family }), ...(values.source !== undefined && { source: values.source }) };
    if (values.client !== undefined) return sendAsClient(host, values.client, { ...values, from }, io);
    for (const word of ['for', 'address', 'prefix', 'reply'] as const) {
      if (values[word] !== undefined) throw new PosternError('usage', `--${word} goes with --client FILE alone`);
    }
    const target = await targetOf(host, from);
    const way = name === undefined ? wayOf(values) : await wayOfPolicy(name, values);
    if ('ports' in way) await knockAt(target, way.ports, way.udp, delayOf(values.delay));
    const again = 'ports' in way ? undefined : await datagramSender(target, way.spa, way.secretFile);
    await again?.();
    return values.check === undefined ? 0 : checkDoor(values.check, values.close !== true, io, again);
  },
});

type Way =
  | { readonly ports: readonly number[]; readonly udp: boolean }
  | { readonly spa: number; readonly secretFile: string };

interface WayValues {
  readonly policy?: string;
  readonly ports?: string;
  readonly udp?: boolean;
  readonly spa?: string;
  readonly 'secret-file'?: string;
  readonly close?: boolean;
}

function wayOf({ ports, udp = false, spa, 'secret-file': secretFile, close = false }: WayValues): Way {
  if ((ports === undefined) === (spa === undefined)) {
    throw new PosternError('usage', 'how to knock: give a KNOCK of the policy, or one of --ports, --spa and --client');
  }
  if (ports !== undefined) return sequence(ports.split(',').map(portOf), udp, close);
  if (secretFile === undefined) throw new PosternError('usage', 'a signed datagram needs its --secret-file');
  return { spa: portOf(spa!), secretFile };
}

async function wayOfPolicy(
  name: string,
  { policy = defaultPolicy, close = false, 'secret-file': own }: WayValues,
): Promise<Way> {
  const spec = await knockOfPolicy(policy, name);
  if (spec.spa2 !== undefined) {
    throw new PosternError(
      'usage',
      `knock '${name}' takes clients with keys of their own: name one with --client FILE`,
    );
  }
  if (spec.ports !== undefined) {
    if (spec.protocol === 'udplite')
      throw new PosternError('unsupported', "knocks by UDP-Lite can't be sent from here");
    return sequence(spec.ports, spec.protocol === 'udp', close);
  }
  const file = own ?? (close ? spec.close_secret : spec.open_secret)!.file;
  return { spa: spec.spa!, secretFile: file };
}

function sequence(ports: readonly number[], udp: boolean, close: boolean): Way {
  if (!close) return { ports, udp };
  throw new PosternError(
    'usage',
    "a sequence of ports can't close a door: it closes by itself, or by 'postern knock revoke'",
  );
}

function portOf(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text.trim()) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new PosternError('usage', `'${text}' is no port: take 1 to 65535`);
  return port;
}

function delayOf(text = String(defaultDelayMs)): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new PosternError('usage', `'${text}' is no number of milliseconds`);
  return Number(text);
}

async function knockAt(target: Target, ports: readonly number[], udp: boolean, delayMs: number): Promise<void> {
  for (const [index, port] of ports.entries()) {
    if (index > 0) await sleep(delayMs);
    if (udp) await withUdp(target, port, () => Buffer.alloc(0));
    else await touchTcp(target, port, delayMs);
  }
}

async function datagramSender(target: Target, port: number, secretFile: string): Promise<() => Promise<void>> {
  const bytes = await readFile(secretFile).catch((cause: Error) => {
    throw new PosternError('system', `can't read the secret: ${cause.message}`, { cause });
  });
  const secret = bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
  if (secret.length === 0) throw new PosternError('invalid', `${secretFile} is empty: it holds no secret`);
  return () => withUdp(target, port, (own) => encodeSpa(secret, parseAddress(own), spaMinute(Date.now())));
}
