/** The API over an engine on the fake kernel. */

import type { InjectOptions } from 'fastify';
import type { Api, ApiParts } from '../../src/api/api.js';
import { type ApiOptions, createApi } from '../../src/api/server.js';
import { compileText } from '../../src/cli/policy-file.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import { addressBytes, parseAddress } from '../../src/net/address.js';
import { type Bench, bench } from '../engine/fixture.js';

export const policyText = `
tables:
  bruteforce: { timeout: 1d, size: 200000 }
  tiny: { size: 3 }
  office: { entries: [192.0.2.0/24, not 192.0.2.7] }
accounts:
  sales: [192.0.2.0/24, 2001:db8::/32]
chains:
  input:
    rules:
      - { from: [<bruteforce>, <tiny>], do: drop }
      - { tcp: 22, from: <office>, do: accept }
  forward:
    rules:
      - { do: account sales }
`;

export interface ApiBench extends Bench {
  readonly api: Api;
  readonly parts: ApiParts;
  readonly log: string[];
  /** The answer to a request: its status and its JSON. */
  ask(method: InjectOptions['method'], url: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** Lets an address send packets that account `sales` counts. */
  count(address: string, packets: number, bytes: number): void;
  close(): Promise<void>;
}

export async function apiBench(
  options: ApiOptions = {},
  others: Partial<ApiParts> = {},
  engineOptions: Partial<EngineOptions> = {},
): Promise<ApiBench> {
  const made = await bench(policyText, {
    compile: async (source, previous) => compileText(source, previous),
    ...engineOptions,
  });
  const log: string[] = [];
  const parts: ApiParts = {
    engine: made.engine,
    log: { info: (line) => log.push(line), warn: (line) => log.push(line), error: (line) => log.push(line) },
    version: '1.2.3',
    now: () => made.clock.wall(),
    startedAt: made.clock.wall(),
    reload: (how) => made.engine.policy.apply(undefined, how),
    services: () => [],
    ...others,
  };
  const api = await createApi(parts, options);
  await api.ready();
  return {
    ...made,
    get text() {
      return made.text;
    },
    set text(text) {
      made.text = text;
    },
    api,
    parts,
    log,
    async ask(method, url, body) {
      const response = await api.inject({
        method: method!,
        url,
        ...(body !== undefined && { payload: body as object }),
      });
      return { status: response.statusCode, body: response.body === '' ? undefined : JSON.parse(response.body) };
    },
    count(address, packets, bytes) {
      const { manifest } = made.engine.policy.current!.plan;
      const { family } = parseAddress(address);
      const set = manifest.sets.findIndex(
        ({ role }) => role.kind === 'account' && role.direction === 'source' && role.family === family,
      );
      made.kernel.packets(set, addressBytes(parseAddress(address)), packets, bytes);
    },
    async close() {
      await api.close();
      await made.engine.stop();
    },
  };
}
