/** The services that the policy asks for, kept running as it changes. */

import { statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { ServiceView } from '../../api/api.js';
import { asPosternError } from '../../errors.js';
import type { Policy } from '../../policy/ast.js';
import type { Service, ServiceContext, ServiceKind } from '../../services/service.js';

/** A service that can't start (its address isn't there yet, its key is being replaced) is tried again so often. */
const retryMs = 10_000;

interface Running {
  readonly kind: ServiceKind;
  readonly section: unknown;
  /** While this stays the same, so does the service. */
  readonly basis: unknown;
  readonly service: Service;
  failure?: string;
}

export class Services {
  readonly #running = new Map<string, Running>();
  /** Changes one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;

  constructor(
    readonly kinds: readonly ServiceKind[],
    readonly context: ServiceContext,
  ) {}

  /** Starts, restarts and stops services so that they are as the policy says. A failure is logged and tried again. */
  bring(policy: Policy): Promise<void> {
    return this.#next(async () => {
      for (const kind of this.kinds) await this.#bringOne(kind, kind.section(policy));
      this.#planRetry();
    });
  }

  stop(): Promise<void> {
    return this.#next(async () => {
      clearTimeout(this.#retry);
      for (const name of [...this.#running.keys()].reverse()) await this.#stopOne(name);
    });
  }

  views(): ServiceView[] {
    return [...this.#running.values()].map(({ kind, service, failure }) => ({
      name: kind.name,
      state: failure === undefined ? 'running' : 'failed',
      status: failure ?? service.status(),
      metrics: service.metrics?.() ?? [],
    }));
  }

  async #bringOne(kind: ServiceKind, section: unknown): Promise<void> {
    const basis = section === undefined ? undefined : basisOf(kind, section);
    const running = this.#running.get(kind.name);
    if (running !== undefined && running.failure === undefined && isDeepStrictEqual(running.basis, basis)) return;
    if (running !== undefined) await this.#stopOne(kind.name);
    if (section !== undefined)
      await this.#startOne({ kind, section, basis, service: kind.create(section, this.context) });
  }

  async #startOne(starting: Running): Promise<void> {
    const { kind, service } = starting;
    const { log } = this.context;
    this.#running.set(kind.name, starting);
    try {
      await service.start();
      log.info(`${kind.name}: ${service.status()}`);
    } catch (error) {
      starting.failure = asPosternError(error).message;
      log.error(`${kind.name} can't start: ${starting.failure}`);
    }
  }

  async #stopOne(name: string): Promise<void> {
    const { service, failure } = this.#running.get(name)!;
    this.#running.delete(name);
    if (failure !== undefined) return;
    await service
      .stop()
      .catch((error) => this.context.log.error(`${name} can't stop: ${asPosternError(error).message}`));
  }

  #planRetry(): void {
    clearTimeout(this.#retry);
    if (this.#failed().length === 0) return;
    this.#retry = setTimeout(() => void this.#retryFailed(), retryMs).unref();
  }

  #retryFailed(): Promise<void> {
    return this.#next(async () => {
      for (const { kind, section } of this.#failed()) await this.#bringOne(kind, section);
      this.#planRetry();
    });
  }

  #failed(): Running[] {
    return [...this.#running.values()].filter(({ failure }) => failure !== undefined);
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(step);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}

function basisOf(kind: ServiceKind, section: unknown): unknown {
  return { section: withoutPlaces(section), files: (kind.files?.(section) ?? []).map(stampOf) };
}

/** A section that only moved within the policy is the same. */
function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (typeof value !== 'object' || value === null || value instanceof Map) return value;
  const entries = Object.entries(value).filter(([key]) => key !== 'at');
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutPlaces(inner)]));
}

/** Changes whenever the file does, or another takes its name. */
function stampOf(path: string): unknown {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : { ino: found.ino, size: found.size, ctimeNs: found.ctimeNs };
}
