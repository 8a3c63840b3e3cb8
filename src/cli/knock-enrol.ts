/** `postern knock enrol`: makes a client's key, on both sides. */

import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { PosternError } from '../errors.js';
import { parseName } from '../net/name.js';
import { replaceFile } from '../store/replace-file.js';
import { spa2KeyBytes } from '../wire/spa2.js';
import { command } from './command.js';
import { defaultPolicy } from './defaults.js';
import { clientFileText } from './knock-client-file.js';
import { knockOfPolicy } from './knock-policy.js';

export const enrol = command({
  summary: 'make a key for a client of a knock, and print its file and a QR code of it',
  args: 'KNOCK CLIENT',
  about: `Adds the client to the file that the knock names as "clients:", and prints what the client has to keep, as a line
and as a QR code of that line. Whoever sees either can knock as the client. The daemon takes it with the next
'postern reload'.`,
  options: {
    host: { type: 'string', value: 'HOST', help: 'where the client has to knock' },
    policy: { type: 'string', value: 'FILE', help: `the policy that has KNOCK; ${defaultPolicy} if not given` },
    clients: { type: 'string', value: 'FILE', help: "with --port, instead of the policy's file of clients" },
    port: { type: 'string', value: 'PORT', help: "with --clients, instead of the policy's spa2 port" },
    seconds: { type: 'string', value: 'N', help: 'let it in for so many seconds at most' },
    ports: { type: 'string', value: 'P,P...', help: 'let it in at these ports alone: tcp/22,udp/51820' },
    'any-address': { type: 'boolean', help: 'let it ask for an address that it does not send from' },
    out: {
      type: 'string',
      value: 'FILE',
      help: "write the client's file there, for its owner alone, and print no line",
    },
    plain: { type: 'boolean', help: 'no QR code' },
  },
  examples: [
    { command: 'postern knock enrol vpn laptop --host gate.example', what: 'a key for a laptop' },
    {
      command: 'postern knock enrol vpn mallory --host gate.example --ports udp/51820 --seconds 3600',
      what: 'one that opens a port for an hour',
    },
  ],
  async run({ args, values, io }) {
    const [knock = '', name = ''] = args;
    const { host, seconds, ports } = values;
    if (host === undefined) throw new PosternError('usage', 'name where the client has to knock with --host HOST');
    if (seconds !== undefined && !/^[1-9][0-9]{0,8}$/.test(seconds)) {
      throw new PosternError('usage', `'${seconds}' is no number of seconds`);
    }
    const door = await doorOf(parseName('knock', knock), values);
    const client = parseName('entry', name);
    const key = randomBytes(spa2KeyBytes);
    await addClient(door.clients, client, {
      key: key.toString('base64url'),
      ...(seconds !== undefined && { seconds: Number(seconds) }),
      ...(ports !== undefined && { ports: ports.split(',') }),
      ...(values['any-address'] === true && { any_address: true }),
    });
    io.err(`${client} is in ${door.clients}; 'postern reload' tells the daemon\n`);
    const text = clientFileText({ host, port: door.port, knock, client, key, reply: door.reply });
    if (values.out === undefined) await io.out(text);
    else await writeNew(values.out, text);
    if (values.plain === true) return 0;
    const { renderUnicodeCompact } = await import('uqr');
    await io.out(`${renderUnicodeCompact(text.trim())}\n`);
    return 0;
  },
});

interface Door {
  readonly clients: string;
  readonly port: number;
  readonly reply: boolean;
}

interface DoorValues {
  readonly policy?: string;
  readonly clients?: string;
  readonly port?: string;
}

async function doorOf(knock: string, { policy = defaultPolicy, clients, port }: DoorValues): Promise<Door> {
  if (clients !== undefined && port !== undefined) {
    if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      throw new PosternError('usage', `'${port}' is no port: take 1 to 65535 as --port`);
    }
    return { clients, port: Number(port), reply: false };
  }
  if (clients !== undefined || port !== undefined) {
    throw new PosternError('usage', 'give both --clients and --port, or neither: then the policy says them');
  }
  const spec = await knockOfPolicy(policy, knock);
  if (spec.spa2 === undefined) {
    throw new PosternError('invalid', `${policy}: knock '${knock}' has no "spa2:", so that it takes no clients`);
  }
  return { clients: spec.clients!.file, port: spec.spa2, reply: spec.reply };
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx' }).catch((cause: Error) => {
    throw new PosternError('system', `can't write the client's file: ${cause.message}`, { cause });
  });
}

/** @throws PosternError `conflict` when the name is taken, `invalid`, `system` */
async function addClient(path: string, name: string, client: object): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw new PosternError('system', `can't read the clients: ${error.message}`, { cause: error });
  });
  const { readClients } = await import('../services/knock/clients.js');
  readClients(text, path);
  const clients = JSON.parse(text) as Record<string, object>;
  readClients(JSON.stringify({ [name]: client }), '--ports');
  if (Object.hasOwn(clients, name)) {
    throw new PosternError('conflict', `${path} has a client '${name}': remove it there, or choose another name`);
  }
  try {
    await replaceFile(path, `${JSON.stringify({ ...clients, [name]: client }, undefined, 1)}\n`);
  } catch (cause) {
    throw new PosternError('system', `can't write the clients: ${(cause as Error).message}`, { cause });
  }
}
