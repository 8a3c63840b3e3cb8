/** Ports and port ranges, by number or by the name of a service. */

import { type PortProtocol, services } from './services.js';
import { invalid } from './text.js';

export type { PortProtocol } from './services.js';

/** All ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const highestPort = 65_535;

const portsByName: Readonly<Record<PortProtocol, ReadonlyMap<string, number>>> = {
  tcp: byName('tcp'),
  udp: byName('udp'),
};

const namesByPort: Readonly<Record<PortProtocol, ReadonlyMap<number, string>>> = {
  tcp: byPort('tcp'),
  udp: byPort('udp'),
};

/** Every name that `parsePort` takes, for suggestions. */
export const serviceNames: readonly string[] = [
  ...new Set(services.flatMap((service) => [service.name, ...service.aliases])),
];

/**
 * Reads a port by number or service name. A name that only the other protocol has is taken, too: `tcp: ntp` has one meaning.
 * @throws PosternError `invalid`.
 */
export function parsePort(text: string, protocol: PortProtocol = 'tcp'): number {
  if (/^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= highestPort) return Number(text);
  const name = text.toLowerCase();
  const port = portsByName[protocol].get(name) ?? portsByName[protocol === 'tcp' ? 'udp' : 'tcp'].get(name);
  if (port !== undefined) return port;
  if (/^[0-9]+$/.test(text))
    throw invalid(text, `is not a port; ports go from 0 to ${highestPort}, without leading zeros`);
  throw invalid(text, 'is no port or service that is known; write its number');
}

/**
 * Reads a port, or `first-last`. A name with a dash (`ftp-data`) is a name first.
 * @throws PosternError `invalid`.
 */
export function parsePortRange(text: string, protocol: PortProtocol = 'tcp'): PortRange {
  for (let dash = text.indexOf('-'); dash > 0 && !isService(text); dash = text.indexOf('-', dash + 1)) {
    const ends = [text.slice(0, dash), text.slice(dash + 1)] as const;
    if (!ends.every((end) => isService(end) || /^[0-9]+$/.test(end))) continue;
    const [first, last] = ends.map((end) => parsePort(end, protocol)) as [number, number];
    if (last < first) throw invalid(text, 'ends before it begins; swap the two ports');
    return { first, last };
  }
  const port = parsePort(text, protocol);
  return { first: port, last: port };
}

/** Numbers only: `22`, `1024-65535`. */
export function formatPortRange(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}-${range.last}`;
}

/** The usual name of a port's service. */
export function serviceName(port: number, protocol: PortProtocol): string | undefined {
  return namesByPort[protocol].get(port);
}

function isService(text: string): boolean {
  const name = text.toLowerCase();
  return portsByName.tcp.has(name) || portsByName.udp.has(name);
}

function of(protocol: PortProtocol) {
  return services.filter((service) => service.protocol === protocol || service.protocol === 'both');
}

function byName(protocol: PortProtocol): Map<string, number> {
  return new Map(
    of(protocol).flatMap(({ name, aliases, port }) => [name, ...aliases].map((word): [string, number] => [word, port])),
  );
}

function byPort(protocol: PortProtocol): Map<number, string> {
  return new Map(of(protocol).map(({ name, port }) => [port, name]));
}
