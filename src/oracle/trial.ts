/** A ruleset on a scratch host: packets in, outcomes out. */

import { PosternError } from '../errors.js';
import type { Injection, RawRun, Scratch, ScratchHost } from '../kernel/scratch.js';
import type { Element, Ruleset, Table } from '../nft/model.js';
import { renderRuleset } from '../nft/render.js';
import { type Flow, writeFlow, writeFlowsFlush } from '../wire/conntrack-flows.js';
import { MessageWriter } from '../wire/netlink.js';
import { readRule, writeRulesRequest } from '../wire/nftables-rules.js';
import { decodePacket, type Packet } from '../wire/packet.js';
import { PROBE_TABLE, probeText } from './probes.js';
import { handleKey, type Outcome, readRun, type Setting } from './reading.js';
import { type Mark, markRules, type RuleRef, readMark } from './twin.js';

/** Contents by `family table set`, for sets of the ruleset that have none of their own. */
export type SetContents = ReadonlyMap<string, readonly Element[]>;

export interface TrialLoad {
  readonly ruleset: Ruleset;
  readonly contents?: SetContents;
  /** nft text of tables that aren't ours. */
  readonly foreign?: readonly string[];
  /** Tells which match of a rule failed; twice the rules to load. */
  readonly twin?: boolean;
  /** NFLOG groups whose copies are wanted. */
  readonly groups?: readonly number[];
}

/** Packets of one request: while they are read here, the scratch host goes on with the next. */
const AT_ONCE = 50;

export class Trial {
  #setting: Setting | undefined;
  #host: ScratchHost | undefined;

  constructor(readonly scratch: Scratch) {}

  /** The rules of what is loaded. */
  get rules(): readonly RuleRef[] {
    return this.#loaded().rules;
  }

  /** The device of the host with this index. */
  deviceAt(index: number): string | undefined {
    return this.#built().devices.find((device) => device.index === index)?.name;
  }

  /** A new host, nothing loaded. Answers what of it could not be set up. */
  async build(host: ScratchHost): Promise<readonly string[]> {
    this.#host = host;
    this.#setting = undefined;
    return (await this.scratch.build(host)).problems;
  }

  /** A new ruleset and no connections. @throws PosternError `kernel` when it can't be loaded. */
  async load({ ruleset, contents = new Map(), foreign = [], twin = false, groups = [] }: TrialLoad): Promise<void> {
    const { devices } = this.#built();
    const marked = markRules(filled(ruleset, contents), { twin });
    const names = devices.map(({ name }) => name);
    const rules = [renderRuleset(marked.ruleset), ...foreign].join('\n');
    const text = `${probeText(names, rules)}\n${rules}`;
    await this.scratch.load(text);
    await this.scratch.listen(groups);
    const [flushed, listed] = await this.scratch.exchange('NETFILTER', [
      message((writer) => writeFlowsFlush(writer, 1)),
      message((writer) => writeRulesRequest(writer, 1)),
    ]);
    if (listed === undefined || listed.errno !== 0 || flushed === undefined) throw unlisted();
    this.#setting = {
      handles: handlesOf(listed.messages.map(({ body }) => body)),
      rules: marked.rules,
      devices: new Map(devices.map(({ name, index }) => [index, name])),
      ethernet: new Set(devices.filter(({ mac }) => mac !== undefined).map(({ name }) => name)),
      tracks: tracking.test(text),
    };
  }

  /** Makes connections known, as if they had been opened and answered. Answers those that the kernel refused. */
  async connect(flows: readonly Flow[]): Promise<readonly { readonly flow: Flow; readonly reason: string }[]> {
    const answers = await this.scratch.exchange(
      'NETFILTER',
      flows.map((flow) => message((writer) => writeFlow(writer, 1, flow))),
    );
    return answers.flatMap(({ errno, reason }, index) =>
      errno === 0 ? [] : [{ flow: flows[index]!, reason: reason ?? `error ${errno}` }],
    );
  }

  /** Forgets all connections. */
  async forgetFlows(): Promise<void> {
    await this.scratch.exchange('NETFILTER', [message((writer) => writeFlowsFlush(writer, 1))]);
  }

  /** One packet after the other. */
  async send(injections: readonly Injection[]): Promise<Outcome[]> {
    const parts: Injection[][] = [];
    for (let from = 0; from < injections.length; from += AT_ONCE) parts.push(injections.slice(from, from + AT_ONCE));
    const outcomes = await Promise.all(
      parts.map(async (part) => {
        const runs = await this.record(part);
        return runs.map((run, index) => this.read(run, part[index]!.packet));
      }),
    );
    return outcomes.flat();
  }

  /** What `send` reads, undecoded: to record it, or to look closer. */
  async record(injections: readonly Injection[]): Promise<readonly RawRun[]> {
    this.#loaded();
    return this.scratch.inject(injections);
  }

  /** What became of a packet of `record`. */
  read(run: RawRun, packet: Uint8Array): Outcome {
    return readRun(run, packetIn(packet), this.#loaded());
  }

  dispose(): void {
    this.scratch.dispose();
  }

  #built(): ScratchHost {
    if (this.#host === undefined) throw new PosternError('internal', 'a trial is loaded before its host is built');
    return this.#host;
  }

  #loaded(): Setting {
    if (this.#setting === undefined) throw new PosternError('internal', 'a trial is used before it is loaded');
    return this.#setting;
  }
}

/** Anything that makes the kernel track connections. */
const tracking = /\b(?:ct|synproxy|notrack|masquerade|snat|dnat|redirect|type nat)\b/;

function message(write: (writer: MessageWriter) => void): Uint8Array {
  const writer = new MessageWriter(512);
  write(writer);
  return writer.finish();
}

function handlesOf(bodies: readonly Buffer[]): Map<string, Mark | string> {
  const handles = new Map<string, Mark | string>();
  for (const body of bodies) {
    const { family, table, handle, comment } = readRule(body);
    if (table !== PROBE_TABLE && comment !== undefined) {
      handles.set(handleKey(family, table, handle), readMark(comment) ?? comment);
    }
  }
  return handles;
}

function filled({ tables }: Ruleset, contents: SetContents): Ruleset {
  if (contents.size === 0) return { tables };
  const fill = (table: Table): Table => ({
    ...table,
    sets: table.sets.map((set) => {
      const elements = contents.get(`${table.family} ${table.name} ${set.name}`);
      return elements === undefined || elements.length === 0 ? set : { ...set, elements };
    }),
  });
  return { tables: tables.map(fill) };
}

/** Undefined for bytes that are no IP packet: the kernel decides on them all the same. */
export function packetIn(bytes: Uint8Array): Packet | undefined {
  try {
    return decodePacket(bytes);
  } catch {
    return undefined;
  }
}

function unlisted(): PosternError {
  return new PosternError(
    'kernel',
    'the rules on the scratch host could not be listed, so that nothing is known of them',
  );
}
