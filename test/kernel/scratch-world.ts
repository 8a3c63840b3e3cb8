/**
 * A stand-in host for tests of rulesets: packets in, verdicts, answers and effects out, through the real kernel and in
 * less than a millisecond each. No namespace with a name, no timers, no peers. Needs root.
 *
 *     const world = await scratchWorld({ after });
 *     await world.policy(`version: 1 …`);
 *     const { verdict, out } = await world.send('wan', tcp('203.0.113.5', '192.0.2.1', 22));
 *
 * The host: `wan` with 192.0.2.1/24 and 2001:db8::1/64 (default routes), `lan` with 198.51.100.1/24 and
 * 2001:db8:1::1/64; it forwards.
 */

import { compilePolicy } from '../../src/compiler/compile.js';
import type { Plan } from '../../src/compiler/plan.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Entry } from '../../src/kernel/scratch.js';
import { type Address, parseAddress } from '../../src/net/address.js';
import type { Ruleset } from '../../src/nft/model.js';
import { type HostModel, scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import type { Outcome } from '../../src/oracle/reading.js';
import { type SetContents, Trial } from '../../src/oracle/trial.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { encodePacket, FLAG_BIT, type Packet, PROTOCOL } from '../../src/wire/packet.js';
import type { Scope } from './namespace.js';

export const world: HostModel = {
  interfaces: [
    {
      device: 'wan',
      addresses: [interfaceAddress('192.0.2.1', 24), interfaceAddress('2001:db8::1', 64)],
      gateways: [parseAddress('192.0.2.254'), parseAddress('2001:db8::fe')],
      routes: [],
    },
    {
      device: 'lan',
      addresses: [interfaceAddress('198.51.100.1', 24), interfaceAddress('2001:db8:1::1', 64)],
      gateways: [],
      routes: [],
    },
  ],
  forwarding: true,
  sysctls: [],
};

function interfaceAddress(text: string, length: number): { address: Address; length: number } {
  return { address: parseAddress(text), length };
}

export interface ScratchWorld {
  readonly trial: Trial;
  /** Compiles a policy and loads it with its entries. @throws Error with the first diagnostic. */
  policy(text: string): Promise<Plan>;
  /** Loads a ruleset of the model. */
  load(ruleset: Ruleset, contents?: SetContents): Promise<void>;
  /** Loads nft text as it is, and takes the copies of these NFLOG groups. */
  nft(text: string, groups?: readonly number[]): Promise<void>;
  /** In by a device, or `local`: out of the host itself. */
  send(from: string | Entry, packet: Packet): Promise<Outcome>;
}

/** Starts a host; it ends with `scope`. */
export async function scratchWorld(scope: Scope, model: HostModel = world): Promise<ScratchWorld> {
  const trial = new Trial(await openScratch());
  scope.after(async () => trial.dispose());
  const problems = await trial.build(scratchHost(model));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const load = (ruleset: Ruleset, contents: SetContents = new Map()): Promise<void> =>
    trial.load({ ruleset, contents, twin: true });
  return {
    trial,
    load,
    async policy(text) {
      const plan = compiled(text);
      const groups = plan.manifest.groups.map(({ group }) => group);
      await trial.load({ ruleset: plan.ruleset, contents: planContents(plan, model.interfaces), twin: true, groups });
      return plan;
    },
    nft: (text, groups = []) => trial.load({ ruleset: { tables: [] }, foreign: [text], groups }),
    async send(from, packet) {
      const at: Entry = typeof from === 'object' ? from : from === 'local' ? { local: {} } : { device: from };
      const [outcome] = await trial.send([{ packet: encodePacket(packet), at, counters: true }]);
      return outcome!;
    },
  };
}

/** The plan of a policy's text. @throws Error with what is wrong with it. */
export function compiled(text: string): Plan {
  const { policy, diagnostics } = parsePolicy(text, { file: 'policy.yaml', vocabulary });
  const first = diagnostics.find(({ severity }) => severity === 'error');
  if (policy === undefined) throw new Error(`${first?.at.line}:${first?.at.column}: ${first?.message}`);
  const result = compilePolicy(policy);
  if (result.plan === undefined) throw new Error(result.diagnostics[0]?.message);
  return result.plan;
}

let lastPort = 40_000;
/** A source port that no packet before had. */
const freshPort = (): number => ++lastPort;

interface Ends {
  readonly source: Address;
  readonly destination: Address;
}
const ends = (source: string, destination: string): Ends => ({
  source: parseAddress(source),
  destination: parseAddress(destination),
});

/** A segment that opens a connection, unless other flags are given. */
export function tcp(
  source: string,
  destination: string,
  port: number,
  flags: number = FLAG_BIT.SYN,
  from = freshPort(),
): Packet {
  const header = { sourcePort: from, destinationPort: port, flags };
  return { ...ends(source, destination), protocol: PROTOCOL.TCP, tcp: header, payload: new Uint8Array(0) };
}

export function udp(source: string, destination: string, port: number, payload: Uint8Array = Buffer.from('x')): Packet {
  const header = { sourcePort: freshPort(), destinationPort: port };
  return { ...ends(source, destination), protocol: PROTOCOL.UDP, udp: header, payload };
}

/** An echo request, of either family. */
export function ping(source: string, destination: string): Packet {
  const both = ends(source, destination);
  const v4 = both.source.family === 4;
  const icmp = { type: v4 ? 8 : 128, code: 0, rest: Uint8Array.of(0, 7, 0, 1) };
  return { ...both, protocol: v4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6, icmp, payload: Buffer.from('postern') };
}
