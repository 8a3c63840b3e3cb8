import { hostname } from 'node:os';

/** What the store takes as a node's name: `[a-z0-9-]{1,32}`. */
export function nodeName(host = hostname()): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 32);
  return name === '' ? 'node' : name;
}
