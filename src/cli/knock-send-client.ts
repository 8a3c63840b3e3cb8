/** Knocks as a client with a key of its own (version 2 of single packet authorization). */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PosternError } from '../errors.js';
import { type Address, addressBits } from '../net/address.js';
import { parseDuration } from '../net/duration.js';
import { isHost, parsePrefix } from '../net/prefix.js';
import { decodeSpa2Reply, encodeSpa2, type Spa2Reply, spa2ClientId, spa2NonceBytes } from '../wire/spa2.js';
import type { Io, Options } from './command.js';
import { askUdp, type Target, targetOf, withUdp } from './datagram.js';
import { checkDoor } from './knock-check.js';
import { type ClientFile, readClientFile } from './knock-client-file.js';

export const clientOptions = {
  client: {
    type: 'string',
    value: 'FILE',
    help: "sign with a client's own key: the file that 'postern knock enrol' made",
  },
  for: { type: 'string', value: 'TIME', help: 'with --client: for so long, 10m' },
  address: {
    type: 'string',
    value: 'ADDRESS',
    help: 'with --client: let in this address, or ADDRESS/LENGTH, instead of the one that is seen',
  },
  prefix: {
    type: 'string',
    value: 'LENGTH',
    help: 'with --client: let in all addresses that have the first LENGTH bits of the one that is seen',
  },
  reply: { type: 'boolean', help: 'with --client: wait for the answer, where the policy gives one' },
} as const satisfies Options;

export interface ClientValues {
  readonly for?: string;
  readonly address?: string;
  readonly prefix?: string;
  readonly reply?: boolean;
  readonly close?: boolean;
  readonly check?: string;
  readonly from: Parameters<typeof targetOf>[1];
}

/** An answer takes one way there and one back; datagrams get lost. */
const replyMs = 1_000;
const tries = 3;

export async function sendAsClient(
  host: string,
  path: string,
  values: ClientValues,
  io: Pick<Io, 'out'>,
): Promise<number> {
  const file = readClientFile(
    await readFile(path, 'utf8').catch((cause: Error) => {
      throw new PosternError('system', `can't read the client file: ${cause.message}`, { cause });
    }),
    path,
  );
  const target = await targetOf(host === '-' ? file.host : host, values.from);
  const request = requestOf(file, values, target);
  if (values.reply === true || file.reply) {
    const reply = await replyTo(file, target, request);
    await io.out(`${replyText(reply)}\n`);
    if (reply === undefined) return 1;
  } else await withUdp(target, file.port, () => request(randomBytes(spa2NonceBytes)));
  if (values.check === undefined) return 0;
  const again = () => withUdp(target, file.port, () => request(randomBytes(spa2NonceBytes)));
  return checkDoor(values.check, values.close !== true, io, again);
}

type MakeRequest = (nonce: Buffer) => Buffer;

function requestOf({ client, key, knock }: ClientFile, values: ClientValues, { family }: Target): MakeRequest {
  const seconds = values.for === undefined ? 0 : Math.ceil(parseDuration(values.for) / 1000);
  if (values.for !== undefined && (seconds < 1 || seconds > 0xffff_ffff)) {
    throw new PosternError('usage', `--for ${values.for}: take 1s to 49710d`);
  }
  const asked = sourceOf(values, family);
  const what = values.close === true ? 'close' : 'open';
  return (nonce) =>
    encodeSpa2({ what, client: spa2ClientId(client), nonce, madeAt: Date.now(), seconds, ...asked }, key, knock);
}

function sourceOf(
  { address, prefix }: ClientValues,
  family: 4 | 6,
): { readonly address?: Address; readonly prefixLength?: number } {
  if (address !== undefined && prefix !== undefined) {
    throw new PosternError('usage', 'write the length behind the address: --address ADDRESS/LENGTH');
  }
  if (prefix !== undefined) {
    const prefixLength = Number(prefix);
    if (!/^[0-9]{1,3}$/.test(prefix) || prefixLength < 1 || prefixLength > addressBits(family)) {
      throw new PosternError('usage', `'${prefix}' is no length of an IPv${family} prefix`);
    }
    return { prefixLength };
  }
  if (address === undefined) return {};
  const { length, ...host } = parsePrefix(address);
  if (length === 0) throw new PosternError('usage', 'no door opens to everybody');
  return { address: host, ...(!isHost({ length, ...host }) && { prefixLength: length }) };
}

/** Asks again, each time anew: nobody takes a datagram twice. */
async function replyTo({ key, knock, port }: ClientFile, target: Target, request: MakeRequest) {
  for (let left = tries; left > 0; left--) {
    const nonce = randomBytes(spa2NonceBytes);
    const reply = await askUdp(
      target,
      port,
      () => request(nonce),
      (bytes) => decodeSpa2Reply(bytes, nonce, key, knock),
      replyMs,
    );
    if (reply !== undefined) return reply;
  }
  return undefined;
}

function replyText(reply: Spa2Reply | undefined): string {
  if (reply === undefined) return 'no answer: it may be that nothing came there, or that nothing is answered there';
  if (reply.what === 'closed') return 'closed';
  return reply.until === undefined ? 'granted for ever' : `granted until ${new Date(reply.until).toISOString()}`;
}
