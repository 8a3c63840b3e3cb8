/**
 * Which rules of a policy take a packet, asked of the real kernel: the bed of tests of matches. Needs root.
 *
 *     const host = await matchHost({ after });
 *     await host.rules('prerouting', ['length: 100-200', 'geoip: { from: XA }']);
 *     assert.deepEqual(await host.hits(packet), [1, 0]);
 */

import type { Plan } from '../../src/compiler/plan.js';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Scratch } from '../../src/kernel/scratch.js';
import type { Element } from '../../src/nft/model.js';
import { renderRuleset } from '../../src/nft/render.js';
import { scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import { FLAG, MessageWriter } from '../../src/wire/netlink.js';
import { type LogCopy, readLogCopies } from '../../src/wire/nflog.js';
import { NFT } from '../../src/wire/nftables.js';
import { OBJECT_TYPE, readObject, writeObjectRequest } from '../../src/wire/nftables-objects.js';
import { encodePacket, type Packet } from '../../src/wire/packet.js';
import type { Scope } from './namespace.js';
import { compiled, world } from './scratch-world.js';

export interface MatchHost {
  readonly scratch: Scratch;
  /**
   * Loads a chain whose rules only count; nothing of them drops a packet.
   * @param contents of sets that the daemon fills, by `family table set`
   */
  rules(chain: string, matches: readonly string[], options?: RuleOptions): Promise<Plan>;
  /** How many packets each rule has taken since it was asked last: this one alone, then. */
  hits(packet: Packet | Uint8Array, device?: string): Promise<number[]>;
  /** The same, with the copies that the packet caused. */
  seen(packet: Packet | Uint8Array): Promise<{ readonly hits: number[]; readonly copies: readonly LogCopy[] }>;
}

export interface RuleOptions {
  /** What stands before `chains:`. */
  readonly head?: string;
  contents?(plan: Plan): ReadonlyMap<string, readonly Element[]>;
}

export async function matchHost(scope: Scope): Promise<MatchHost> {
  const scratch = await openScratch();
  scope.after(async () => scratch.dispose());
  const { problems } = await scratch.build(scratchHost(world));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  let names: readonly string[] = [];
  let before: ReadonlyMap<string, number> = new Map();
  const counted = async (): Promise<number[]> => {
    const now = await readCounters(scratch);
    const since = names.map((name) => (now.get(name) ?? 0) - (before.get(name) ?? 0));
    before = now;
    return since;
  };
  const inject = async (packet: Packet | Uint8Array, device: string) => {
    const bytes = packet instanceof Uint8Array ? packet : encodePacket(packet);
    const [run] = await scratch.inject([{ packet: bytes, at: { device } }]);
    if (run === undefined) throw new Error('the scratch host is gone');
    return run;
  };
  return {
    scratch,
    async rules(chain, matches, { head = '', contents } = {}) {
      const plan = compiled(countingPolicy(chain, matches, head));
      const filled = new Map([...planContents(plan, world.interfaces), ...(contents?.(plan) ?? [])]);
      const tables = plan.ruleset.tables.map((table) => ({
        ...table,
        sets: table.sets.map((set) => {
          const elements = filled.get(`${table.family} ${table.name} ${set.name}`);
          return elements === undefined ? set : { ...set, elements };
        }),
      }));
      await scratch.load(renderRuleset({ tables }));
      await scratch.listen(plan.manifest.groups.map(({ group }) => group));
      names = matches.map((_, index) => `c_r${index}`);
      before = new Map();
      return plan;
    },
    async hits(packet, device = 'wan') {
      await inject(packet, device);
      return counted();
    },
    async seen(packet) {
      const { copies } = await inject(packet, 'wan');
      return { hits: await counted(), copies: readLogCopies(Buffer.from(copies)) };
    },
  };
}

/** Rules that count, named `r0`, `r1` … */
export function countingPolicy(chain: string, matches: readonly string[], head = ''): string {
  const rules = matches.map(
    (match, index) => `      - { name: r${index}, ${match === '' ? '' : `${match}, `}do: count }`,
  );
  return `version: 1\nhygiene: off\n${head}chains:\n  ${chain}:\n    rules:\n${rules.join('\n')}\n`;
}

const inet = 1;

/** Packets of all named counters. A dump that zeroes them loses the one at the end of each of the kernel's buffers. */
async function readCounters(scratch: Scratch): Promise<Map<string, number>> {
  const writer = new MessageWriter(128);
  const { counter: type } = OBJECT_TYPE;
  writeObjectRequest(writer, NFT.GETOBJ, FLAG.DUMP, 1, { family: inet, table: 'postern', type });
  const [answer] = await scratch.exchange('NETFILTER', [writer.finish()]);
  if (answer === undefined || answer.errno !== 0) throw new Error('the counters could not be read');
  const objects = answer.messages.map(({ body }) => readObject(body));
  return new Map(objects.map(({ name, counter }) => [name, Number(counter?.packets ?? 0)]));
}
