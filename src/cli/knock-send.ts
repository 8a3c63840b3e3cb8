/** `postern knock send`: knocks at a host, by a sequence of ports or by a signed datagram. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '../errors.js';
import type { KnockSpec } from '../extensions/pknock.js';
import { parseAddress } from '../net/address.js';
import { parseDuration } from '../net/duration.js';
import { encodeSpa, spaMinute } from '../wire/spa.js';
import { encodeSpa2, spa2ClientId } from '../wire/spa2.js';
import { command, type Io } from './command.js';
import { connects, type Target, targetOf, touchTcp, withUdp } from './datagram.js';
import { readClientFile } from './knock-client-file.js';

const checkMs = 5_000;
const defaultDelayMs = 200;

export const send = command({
  summary: 'knock at a host; with --check status 1 when the door stays shut',
  args: 'HOST [KNOCK]',
  about: `KNOCK is a knock of the policy file that --policy names. Without it, --ports or --spa say how to knock.
The secret of a signed datagram is the file's content without a newline at its end. The datagram is signed for the address
that it leaves from: it can't cross a translation of addresses.`,
  options: {
    policy: { type: 'string', value: 'FILE', help: 'the policy that has KNOCK' },
    ports: { type: 'string', value: 'P,P...', help: 'knock at these ports in this order' },
    udp: { type: 'boolean', help: 'by UDP, not by TCP' },
    delay: { type: 'string', value: 'MS', help: `milliseconds between two knocks; ${defaultDelayMs} if not given` },
    spa: { type: 'string', value: 'PORT', help: 'send a signed datagram to this port' },
    'secret-file': { type: 'string', value: 'FILE', help: 'its secret' },
    client: {
      type: 'string',
      value: 'FILE',
      help: "sign with a client's own key: the file that 'postern knock enrol' made; HOST may be '-'",
    },
    for: { type: 'string', value: 'TIME', help: 'with --client: for so long, 10m' },
    address: {
      type: 'string',
      value: 'ADDRESS',
      help: 'with --client: let this address in instead of the one that is seen',
    },
    close: { type: 'boolean', help: 'close the door: with KNOCK, sign with its close secret' },
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
  ],
  async run({ args, values, io }) {
    const [host = '', name] = args;
    if (values.client !== undefined) return sendAsClient(host, values.client, values, io);
    const family = values.ipv4 === true ? 4 : values.ipv6 === true ? 6 : undefined;
    const target = await targetOf(host, {
      ...(family && { family }),
      ...(values.source !== undefined && { source: values.source }),
    });
    const way = name === undefined ? wayOf(values) : await wayOfPolicy(name, values);
    if ('ports' in way) await knockAt(target, way.ports, way.udp, delayOf(values.delay));
    const again = 'ports' in way ? undefined : await datagramSender(target, way.spa, way.secretFile);
    await again?.();
    if (values.check === undefined) return 0;
    const wanted = values.close !== true;
    const opened = await connects(values.check, checkMs, wanted, again);
    await io.out(`${values.check} ${opened ? 'takes connections' : 'takes no connections'}\n`);
    return opened === wanted ? 0 : 1;
  },
});

interface ClientValues {
  readonly for?: string;
  readonly address?: string;
  readonly close?: boolean;
  readonly check?: string;
}

async function sendAsClient(host: string, path: string, values: ClientValues, io: Pick<Io, 'out'>): Promise<number> {
  const file = readClientFile(
    await readFile(path, 'utf8').catch((cause: Error) => {
      throw new PosternError('system', `can't read the client file: ${cause.message}`, { cause });
    }),
    path,
  );
  const target = await targetOf(host === '-' ? file.host : host);
  const seconds = values.for === undefined ? 0 : Math.ceil(parseDuration(values.for) / 1000);
  const wanted = values.close !== true;
  const again = () =>
    withUdp(target, file.port, () =>
      encodeSpa2(
        {
          what: wanted ? 'open' : 'close',
          client: spa2ClientId(file.client),
          nonce: randomBytes(16),
          madeAt: Date.now(),
          seconds,
          ...(values.address !== undefined && { address: parseAddress(values.address) }),
        },
        file.key,
        file.knock,
      ),
    );
  await again();
  if (values.check === undefined) return 0;
  const opened = await connects(values.check, checkMs, wanted, again);
  await io.out(`${values.check} ${opened ? 'takes connections' : 'takes no connections'}\n`);
  return opened === wanted ? 0 : 1;
}

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

function wayOf({ ports, udp = false, spa, 'secret-file': secretFile }: WayValues): Way {
  if ((ports === undefined) === (spa === undefined)) {
    throw new PosternError('usage', 'how to knock: give a KNOCK with --policy, or --ports, or --spa');
  }
  if (ports !== undefined) return { ports: ports.split(',').map(portOf), udp };
  if (secretFile === undefined) throw new PosternError('usage', 'a signed datagram needs its --secret-file');
  return { spa: portOf(spa!), secretFile };
}

async function wayOfPolicy(name: string, { policy, close = false, 'secret-file': own }: WayValues): Promise<Way> {
  if (policy === undefined) throw new PosternError('usage', `which policy has '${name}'? Name it with --policy FILE`);
  const spec = await specOf(policy, name);
  if (spec.ports !== undefined) return { ports: spec.ports, udp: spec.protocol === 'udp' };
  const file = own ?? (close ? spec.close_secret : spec.open_secret)?.file;
  if (spec.spa === undefined || file === undefined)
    throw new PosternError('invalid', `knock '${name}' has no way to knock`);
  return { spa: spec.spa, secretFile: file };
}

/** The policy's reader is loaded where it is used: the other ways need none. */
async function specOf(policy: string, name: string): Promise<KnockSpec> {
  const { compileText, readPolicyFile } = await import('./policy-file.js');
  const entry = compileText(readPolicyFile(policy), undefined).policy.sections.get('knocks')?.get(name);
  if (entry === undefined) throw new PosternError('not-found', `${policy} has no knock '${name}'`);
  return entry.spec as KnockSpec;
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
