/** The network counters of the thread's namespace: they tell of drops that no rule made. */

import { readFileSync } from 'node:fs';

export type Counters = ReadonlyMap<string, number>;

/** `IpInAddrErrors`, `TcpExtIPReversePathFilter`, `Ip6InNoRoutes` … */
export function readCounters(): Counters {
  const counters = new Map<string, number>();
  // /proc/net would be the main thread's.
  for (const file of ['snmp', 'netstat']) takePairs(readFileSync(`/proc/thread-self/net/${file}`, 'utf8'), counters);
  for (const line of readFileSync('/proc/thread-self/net/snmp6', 'utf8').split('\n')) {
    const [name, value] = line.split(/\s+/);
    if (name && value !== undefined) counters.set(name, Number(value));
  }
  return counters;
}

/** Pairs of lines: `Ip: Name Name` and `Ip: 1 2`. */
function takePairs(text: string, counters: Map<string, number>): void {
  const lines = text.split('\n');
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [group, ...names] = lines[at]!.split(' ');
    const [, ...values] = lines[at + 1]!.split(' ');
    for (const [index, name] of names.entries()) counters.set(`${group!.slice(0, -1)}${name}`, Number(values[index]));
  }
}

/** What grew, by how much. */
export function growth(before: Counters, after: Counters): Record<string, number> {
  const grown: Record<string, number> = {};
  for (const [name, value] of after) {
    const more = value - (before.get(name) ?? 0);
    if (more > 0) grown[name] = more;
  }
  return grown;
}
