/** `postern knock enrol`: makes a client's key, on both sides. */

import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { PosternError } from '../errors.js';
import { parseName } from '../net/name.js';
import { spa2KeyBytes } from '../wire/spa2.js';
import { command } from './command.js';
import { clientFileText } from './knock-client-file.js';

export const enrol = command({
  summary: 'make a key for a client of a knock, and print its file and a QR code of it',
  args: 'KNOCK CLIENT',
  about: `Adds the client to the file that the knock names as "clients:", and prints what the client has to keep. Whoever
sees that can knock as the client. The daemon takes it with the next 'postern reload'.`,
  options: {
    clients: { type: 'string', value: 'FILE', help: "the knock's file of clients; made when it isn't there" },
    host: { type: 'string', value: 'HOST', help: 'where the client has to knock' },
    port: { type: 'string', value: 'PORT', help: "the knock's spa2 port" },
    seconds: { type: 'string', value: 'N', help: 'let it in for so many seconds at most' },
    'any-address': { type: 'boolean', help: 'let it ask for an address that it does not send from' },
    plain: { type: 'boolean', help: 'no QR code' },
  },
  examples: [
    {
      command: 'postern knock enrol vpn laptop --clients /etc/postern/vpn.json --host gate.example --port 4003',
      what: 'a key for a laptop',
    },
  ],
  async run({ args, values, io }) {
    const [knock = '', name = ''] = args;
    const { clients: path, host, port = '', seconds } = values;
    if (path === undefined || host === undefined)
      throw new PosternError('usage', 'name --clients FILE and --host HOST');
    if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      throw new PosternError('usage', `'${port}' is no port: take 1 to 65535 as --port`);
    }
    if (seconds !== undefined && !/^[1-9][0-9]{0,8}$/.test(seconds)) {
      throw new PosternError('usage', `'${seconds}' is no number of seconds`);
    }
    const client = parseName('entry', name);
    const key = randomBytes(spa2KeyBytes);
    await addClient(path, client, {
      key: key.toString('base64url'),
      ...(seconds !== undefined && { seconds: Number(seconds) }),
      ...(values['any-address'] === true && { any_address: true }),
    });
    const text = clientFileText({ host, port: Number(port), knock: parseName('knock', knock), client, key });
    await io.out(text);
    if (values.plain === true) return 0;
    const { renderUnicodeCompact } = await import('uqr');
    await io.out(`${renderUnicodeCompact(text.trim())}\n`);
    return 0;
  },
});

/** @throws PosternError `conflict` when the name is taken, `invalid`, `system` */
async function addClient(path: string, name: string, client: object): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw new PosternError('system', `can't read the clients: ${error.message}`, { cause: error });
  });
  const { readClients } = await import('../services/knock/clients.js');
  readClients(text, path);
  const clients = JSON.parse(text) as Record<string, object>;
  if (Object.hasOwn(clients, name)) {
    throw new PosternError('conflict', `${path} has a client '${name}': remove it there, or choose another name`);
  }
  const next = `${path}.new`;
  try {
    await writeFile(next, `${JSON.stringify({ ...clients, [name]: client }, undefined, 1)}\n`, { mode: 0o600 });
    await rename(next, path);
  } catch (cause) {
    throw new PosternError('system', `can't write the clients: ${(cause as Error).message}`, { cause });
  }
}
