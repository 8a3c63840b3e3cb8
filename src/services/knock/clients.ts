/** The file of a knock's clients: JSON, from names to keys and what each may. */

import { type DoorPort, parseDoorPort } from '../../engine/knocks.js';
import { asPosternError, PosternError } from '../../errors.js';
import { parseName } from '../../net/name.js';
import { spa2ClientId, spa2KeyBytes } from '../../wire/spa2.js';

export interface KnockClient {
  readonly name: string;
  readonly key: Buffer;
  /** Longest grant; the knock's own bounds it too. */
  readonly mostSeconds?: number;
  /** Where it may come in; absent: wherever the policy lets those in who have knocked. */
  readonly ports?: readonly DoorPort[];
  /** May it ask for an address that it doesn't send from? */
  readonly anyAddress: boolean;
}

/** By `spa2ClientId` in hex. @throws PosternError `invalid` */
export function readClients(text: string, file: string): ReadonlyMap<string, KnockClient> {
  const clients = new Map<string, KnockClient>();
  for (const [name, value] of Object.entries(parsed(text, file))) {
    const { key, seconds, ports, any_address: anyAddress = false } = (value ?? {}) as Record<string, unknown>;
    const bytes = typeof key === 'string' ? Buffer.from(key, 'base64url') : Buffer.alloc(0);
    if (bytes.length !== spa2KeyBytes) throw wrong(file, name, `"key" has to be ${spa2KeyBytes} bytes as base64url`);
    if (seconds !== undefined && !(Number.isSafeInteger(seconds) && Number(seconds) > 0)) {
      throw wrong(file, name, '"seconds" has to be a whole number above 0');
    }
    if (typeof anyAddress !== 'boolean') throw wrong(file, name, '"any_address" has to be true or false');
    const client = { name: parseName('entry', name), key: bytes, anyAddress };
    clients.set(spa2ClientId(name).toString('hex'), {
      ...client,
      ...(seconds !== undefined && { mostSeconds: Number(seconds) }),
      ...(ports !== undefined && { ports: readPorts(ports, file, name) }),
    });
  }
  return clients;
}

/** Each is an element in the kernel. */
export const mostPorts = 16;

function readPorts(ports: unknown, file: string, name: string): DoorPort[] {
  if (!Array.isArray(ports) || ports.length === 0 || ports.length > mostPorts) {
    throw wrong(file, name, `"ports" has to be a list of 1 to ${mostPorts}, as in ["tcp/22", "udp/51820"]`);
  }
  try {
    return ports.map((port) => parseDoorPort(String(port)));
  } catch (error) {
    throw wrong(file, name, asPosternError(error).message);
  }
}

function parsed(text: string, file: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new PosternError(
    'invalid',
    `${file} is no map from clients to keys in JSON; make it with 'postern knock enrol'`,
  );
}

const wrong = (file: string, name: string, what: string) =>
  new PosternError('invalid', `${file}: client ${name}: ${what}`);
