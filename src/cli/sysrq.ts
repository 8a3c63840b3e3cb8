/** `postern sysrq send`: asks a host for keys of the magic SysRq, as the senders of xtables-addons do. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PosternError } from '../errors.js';
import { parseAddress } from '../net/address.js';
import { encodeSysrq, type SysrqHash, sysrqPassword } from '../wire/sysrq.js';
import { type CommandGroup, command } from './command.js';
import { targetOf, withUdp } from './datagram.js';

const hashes: readonly string[] = ['sha1', 'sha256', 'sha512', 'md5'] satisfies SysrqHash[];

const send = command({
  summary: 'ask a host for keys of the magic SysRq',
  args: 'HOST KEYS',
  about: `Nothing is answered. Status 0 says that the request was sent. The sequence number is the time in seconds: of two
requests within a second the host takes the first.`,
  options: {
    'password-file': { type: 'string', value: 'FILE', help: 'the password, up to its first newline' },
    port: { type: 'string', value: 'PORT', help: '9 if not given' },
    hash: { type: 'string', value: 'HASH', help: 'sha1 (if not given), sha256, sha512 or md5' },
    plain: { type: 'boolean', help: 'sign without the address, for xtables-addons 1.32 to 1.36' },
    sequence: { type: 'string', value: 'NUMBER', help: 'instead of the time' },
    ipv4: { type: 'boolean', short: '4', help: 'IPv4 only' },
    ipv6: { type: 'boolean', short: '6', help: 'IPv6 only' },
  },
  examples: [
    { command: 'postern sysrq send host.example s --password-file ~/.sysrq', what: 'asks it to write its disks' },
  ],
  async run({ args, values }) {
    const [host = '', keys = ''] = args;
    const { port = '9', hash = 'sha1', sequence = String(Math.floor(Date.now() / 1000)) } = values;
    if (!hashes.includes(hash)) throw new PosternError('usage', `'${hash}' is no hash: take ${hashes.join(', ')}`);
    if (keys.includes(',')) throw new PosternError('usage', 'a comma is no key');
    if (!/^[0-9]+$/.test(sequence)) throw new PosternError('usage', `'${sequence}' is no sequence number`);
    if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      throw new PosternError('usage', `'${port}' is no port: take 1 to 65535`);
    }
    const file = values['password-file'];
    if (file === undefined) throw new PosternError('usage', 'name the file of the password with --password-file');
    const password = sysrqPassword(
      await readFile(file).catch((cause: Error) => {
        throw new PosternError('system', `can't read the password: ${cause.message}`, { cause });
      }),
    );
    if (password === '') throw new PosternError('invalid', `${file} is empty: it holds no password`);
    const family = values.ipv4 === true ? 4 : values.ipv6 === true ? 6 : undefined;
    const target = await targetOf(host, { ...(family && { family }) });
    const secret = {
      password,
      hash: hash as SysrqHash,
      ...(values.plain !== true && { destination: parseAddress(target.address) }),
    };
    const salt = randomBytes(8).toString('hex');
    await withUdp(target, Number(port), () => encodeSysrq(keys, BigInt(sequence), salt, secret));
    return 0;
  },
});

export const sysrq: CommandGroup = {
  summary: 'ask a host for keys of the magic SysRq',
  commands: { send },
};
