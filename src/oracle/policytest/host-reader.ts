/** `host:` of a test file: the interfaces, addresses and routes of the host that the policy is tried on. */

import { asPosternError } from '../../errors.js';
import { type Address, parseAddress } from '../../net/address.js';
import { parseDevice } from '../../net/name.js';
import { parsePrefix } from '../../net/prefix.js';
import type { DiagnosticLog } from '../../policy/diagnostics.js';
import { type Entry, type Mapping, type Node, Text } from '../../policy/node.js';
import type { HostInterface, HostModel, InterfaceAddress } from '../host.js';
import { fieldsOf } from './fields.js';
import type { TestFile } from './model.js';

const MOST_INTERFACES = 64;

/** Used without `host:`: documentation addresses, a router between wan and lan. */
const usual: TestFile['host']['interfaces'] = [
  {
    device: 'wan',
    addresses: [onLink('192.0.2.1', 24), onLink('2001:db8::1', 64)],
    gateways: [parseAddress('192.0.2.254'), parseAddress('2001:db8::fe')],
    routes: [],
  },
  {
    device: 'lan',
    addresses: [onLink('198.51.100.1', 24), onLink('2001:db8:1::1', 64)],
    gateways: [],
    routes: [],
  },
];

function onLink(address: string, length: number): InterfaceAddress {
  return { address: parseAddress(address), length };
}

export class HostReader {
  constructor(private readonly log: DiagnosticLog) {}

  read(fields: ReadonlyMap<string, Entry>): { host: HostModel; devices: ReadonlyMap<string, string> } {
    const host = fields.get('host')?.value;
    const named = host === undefined ? usual.map((one) => [one.device, one] as const) : this.#interfaces(host);
    return {
      host: {
        interfaces: named.map(([, one]) => one),
        forwarding: this.#isOn(fields.get('forwarding')?.value),
        sysctls: this.#sysctls(fields.get('sysctls')?.value),
      },
      devices: new Map(named.map(([name, { device }]) => [name, device])),
    };
  }

  #interfaces(node: Node): (readonly [string, HostInterface])[] {
    if (node.kind !== 'map') return this.#say(node, '"host" takes a map from interfaces') ?? [];
    if (node.entries.length > MOST_INTERFACES)
      this.log.error(node.at, `a host has at most ${MOST_INTERFACES} interfaces`);
    return node.entries.slice(0, MOST_INTERFACES).flatMap(({ key, value }) => {
      if (value.kind !== 'map') return this.#say(value, `"${key.value}" takes a map with "address:"`) ?? [];
      const found = this.#interface(key, value);
      return found === undefined ? [] : [[key.value, found] as const];
    });
  }

  #interface(key: Text, node: Mapping): HostInterface | undefined {
    const fields = fieldsOf(this.log, node, ['device', 'address', 'gateway', 'routes', 'kind']);
    const device = this.#device(fields.get('device')?.value ?? key);
    if (device === undefined) return undefined;
    const kind = fields.get('kind')?.value;
    if (kind !== undefined && !(kind instanceof Text && /^(?:ethernet|point-to-point)$/.test(kind.value))) {
      this.log.error(kind.at, '"kind" is ethernet or point-to-point');
    }
    return {
      device,
      ...(kind instanceof Text && kind.value === 'point-to-point' && { pointToPoint: true }),
      addresses: this.#each(fields.get('address')?.value, addressWithLength),
      gateways: this.#each(fields.get('gateway')?.value, parseAddress),
      routes: this.#each(fields.get('routes')?.value, routeOf),
    };
  }

  #device(node: Node): string | undefined {
    return this.#each(node, parseDevice)[0];
  }

  #isOn(node: Node | undefined): boolean {
    if (node === undefined) return true;
    if (node instanceof Text && /^(?:on|off|yes|no|true|false)$/.test(node.value))
      return /^(?:on|yes|true)$/.test(node.value);
    this.log.error(node.at, '"forwarding" is on or off');
    return true;
  }

  #sysctls(node: Node | undefined): (readonly [string, string])[] {
    if (node === undefined) return [];
    if (node.kind !== 'map') return this.#say(node, '"sysctls" takes a map from names below net') ?? [];
    return node.entries.flatMap(({ key, value }) => {
      const path = key.value.replace(/^net\./, '').replaceAll('.', '/');
      const isFit = value instanceof Text && /^[\w/-]+$/.test(path) && /^[\w -]+$/.test(value.value);
      if (isFit) return [[path, value.value] as const];
      return this.#say(value, `"${key.value}" is no setting below net`) ?? [];
    });
  }

  #each<T>(node: Node | undefined, read: (text: string) => T): T[] {
    if (node === undefined) return [];
    const items = node.kind === 'list' ? node.items : [node];
    return items.flatMap((item) => {
      if (!(item instanceof Text)) return this.#say(item, 'a single value stands here') ?? [];
      try {
        return [read(item.value)];
      } catch (error) {
        return this.#say(item, asPosternError(error).message) ?? [];
      }
    });
  }

  #say(node: Node, message: string): undefined {
    this.log.error(node.at, message);
  }
}

/** `192.0.2.1/24`: unlike a prefix it keeps the bits of the host. */
function addressWithLength(text: string): InterfaceAddress {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  const bits = address.family === 4 ? 32 : 128;
  const length = slash < 0 ? bits : Number(text.slice(slash + 1));
  if (!Number.isInteger(length) || length < 0 || length > bits)
    throw new RangeError(`"${text}": its length goes from 0 to ${bits}`);
  return { address, length };
}

/** `10.0.0.0/8 via 198.51.100.2`, `10.0.0.0/8`. */
function routeOf(text: string): { to: ReturnType<typeof parsePrefix>; via?: Address } {
  const [to = '', word, via] = text.trim().split(/\s+/);
  if (word === undefined) return { to: parsePrefix(to) };
  if (word !== 'via' || via === undefined)
    throw new RangeError(`"${text}" is no route; write it as 10.0.0.0/8 via 198.51.100.2`);
  return { to: parsePrefix(to), via: parseAddress(via) };
}
