/** The listeners of the policy's `api:` section as a service. */

import type { ApiParts } from '../../api/api.js';
import { type OpenListener, openListener } from '../../api/listen.js';
import type { ApiListener, Policy } from '../../policy/ast.js';
import type { Service, ServiceKind } from '../../services/service.js';

/** @param ownSocket the socket that the daemon listens at anyway. */
export function apiListeners(parts: ApiParts, ownSocket: string): ServiceKind<readonly ApiListener[]> {
  return {
    name: 'api',
    section(policy: Policy) {
      const others = (policy.api?.listen ?? []).filter(({ unix }) => unix !== ownSocket);
      return others.length === 0 ? undefined : others;
    },
    files: (listeners) => listeners.flatMap(({ tokenFile }) => (tokenFile === undefined ? [] : [tokenFile])),
    create: (listeners) => new ApiListeners(listeners, parts),
  };
}

class ApiListeners implements Service {
  readonly #open: OpenListener[] = [];

  constructor(
    readonly listeners: readonly ApiListener[],
    readonly parts: ApiParts,
  ) {}

  async start(): Promise<void> {
    try {
      for (const listener of this.listeners) this.#open.push(await openListener(listener, this.parts));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((listener) => listener.close()));
  }

  status(): string {
    return this.#open.map(({ where }) => where).join(', ');
  }
}
