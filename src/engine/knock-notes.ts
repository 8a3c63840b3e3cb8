/** What is kept of grants beside the kernel's elements: how it came to them, and until when, whatever becomes of the kernel's sets. */

import type { ElementChange } from '../kernel/kernel.js';
import type { Prefix } from '../net/address.js';
import { formatPrefix, parsePrefix } from '../net/prefix.js';
import type { Json } from '../store/register.js';
import { KeptValues, type KeptValuesParts } from './kept-values.js';
import { type DoorPort, formatDoorPort, type Grant, type KnockMeans, parseDoorPort } from './knocks.js';
import type { Source } from './tables.js';

export interface Note {
  readonly by: KnockMeans;
  readonly client?: string;
  readonly ports?: readonly DoorPort[];
  /** Milliseconds since the epoch, by the clock of that moment; absent when nobody took notes. */
  readonly at?: number;
}

export interface KeptNote extends Note {
  readonly knock: string;
  readonly source: Prefix;
  /** Milliseconds since the epoch; absent: for ever. */
  readonly until?: number;
}

interface Kept {
  readonly [name: string]: Json | undefined;
  readonly by: KnockMeans;
  readonly client?: string;
  /** `tcp/22` */
  readonly ports?: readonly string[];
  readonly at?: number;
}

/** Names have no blanks. */
export const noteKey = (knock: string, source: Prefix): string => `${knock} ${formatPrefix(source)}`;

export class KnockNotes {
  readonly #kept: KeptValues<Kept>;

  constructor(parts: KeptValuesParts) {
    this.#kept = new KeptValues('knock', isKept, parts);
  }

  get(knock: string, source: Prefix): Note | undefined {
    const kept = this.#kept.get(noteKey(knock, source));
    return kept && noteOf(kept.value);
  }

  *all(): Generator<KeptNote> {
    for (const [key, { value, expiresAt }] of this.#kept.all()) {
      const [knock = '', text = ''] = key.split(' ');
      const source = prefixOf(text);
      if (source === undefined) continue;
      yield { ...noteOf(value), knock, source, ...(expiresAt !== undefined && { until: expiresAt }) };
    }
  }

  /** With these elements in the kernel, or neither. */
  set({ knock, source, by, client, ports, at, until }: Grant, elements: readonly ElementChange[]): Promise<void> {
    const kept: Kept = {
      by,
      ...(client !== undefined && { client }),
      ...(ports !== undefined && { ports: ports.map(formatDoorPort) }),
      ...(at !== undefined && { at }),
    };
    const who: Source = { kind: 'knock', id: formatPrefix(source) };
    return this.#kept.set(noteKey(knock, source), kept, { expiresAt: until, source: who, elements });
  }

  delete(knock: string, source: Prefix, by: Source, elements: readonly ElementChange[] = []): Promise<void> {
    return this.#kept.delete(noteKey(knock, source), { source: by, elements });
  }
}

const noteOf = ({ by, client, ports, at }: Kept): Note => ({
  by,
  ...(client !== undefined && { client }),
  ...(ports !== undefined && { ports: ports.map(parseDoorPort) }),
  ...(at !== undefined && { at }),
});

const means: readonly string[] = ['sequence', 'spa', 'spa2'] satisfies KnockMeans[];

function isKept(kept: Json): kept is Kept {
  if (typeof kept !== 'object' || kept === null || Array.isArray(kept)) return false;
  const { by, client, ports, at } = kept as { readonly [name: string]: Json | undefined };
  if (!means.includes(by as string) || !['undefined', 'string'].includes(typeof client)) return false;
  return (
    ['undefined', 'number'].includes(typeof at) &&
    (ports === undefined || (Array.isArray(ports) && ports.every(isPort)))
  );
}

const isPort = (port: Json): boolean => typeof port === 'string' && readable(() => parseDoorPort(port)) !== undefined;

/** Undefined: the key came from elsewhere and is none of ours. */
const prefixOf = (text: string): Prefix | undefined => readable(() => parsePrefix(text));

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
