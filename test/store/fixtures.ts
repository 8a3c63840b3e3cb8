import { PosternError } from '../../src/errors.js';
import { formatPrefix, parsePrefix } from '../../src/net/prefix.js';
import type { Disk } from '../../src/store/disk.js';
import { openStore, type StoreOptions } from '../../src/store/open.js';
import type { Origin } from '../../src/store/register.js';
import type { Draft, Store } from '../../src/store/store.js';
import type { StoreClock } from '../../src/store/system-clock.js';

export const root: Origin = { kind: 'cli', id: 'root' };

/** 2026-11-22T06:00:00Z */
export const start = Date.UTC(2026, 10, 22, 6);
export const hour = 3_600_000;

/** Clocks that stand until they are told to go on. */
export class TestClock implements StoreClock {
  bootId = 'boot-1';
  wall = start;
  steady = 5_000;
  uptime = 60_000;

  wallMs = () => this.wall;
  steadyMs = () => this.steady;
  reading = () => ({ bootId: this.bootId, wallMs: this.wall, uptimeMs: this.uptime });

  /** Time goes by. */
  pass(ms: number): void {
    this.wall += ms;
    this.steady += ms;
    this.uptime += ms;
  }

  /** Somebody sets the wall clock. */
  step(ms: number): void {
    this.wall += ms;
  }

  /** Another boot, so much later by the machine's own clock. */
  reboot(wallMs: number): void {
    this.bootId = `${this.bootId}+`;
    this.wall += wallMs;
    this.uptime = 10_000;
    this.steady = 0;
  }
}

export function open(disk: Disk, clock: StoreClock, options: Partial<StoreOptions> = {}): Promise<Store> {
  return openStore({ disk, node: 'fw1', clock, ...options });
}

export function add(
  prefix: string | readonly string[],
  expiresAt?: number,
  more: { table?: string; comment?: string } = {},
): Draft {
  return {
    kind: 'entry',
    op: 'add',
    table: more.table ?? 'bruteforce',
    prefixes: [prefix].flat().map(parsePrefix),
    origin: root,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(more.comment !== undefined && { comment: more.comment }),
  };
}

export function remove(prefix: string, table = 'bruteforce'): Draft {
  return { kind: 'entry', op: 'delete', table, prefixes: [parsePrefix(prefix)], origin: root };
}

export function flush(table = 'bruteforce'): Draft {
  return { kind: 'flush', table, origin: root };
}

/** `192.0.2.1 +60s`: what is in force, and for how long; sorted. */
export function inForce(store: Store, clock: StoreClock, table = 'bruteforce'): string[] {
  return [...store.entries(table)]
    .map(({ prefix, expiresAt, not }) => {
      const text = `${not ? 'not ' : ''}${formatPrefix(prefix)}`;
      return expiresAt === undefined ? text : `${text} +${Math.round((expiresAt - clock.wallMs()) / 1000)}s`;
    })
    .sort();
}

export function code(error: unknown): string {
  return error instanceof PosternError ? error.code : String(error);
}
