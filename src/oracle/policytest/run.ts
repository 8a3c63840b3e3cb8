/** Runs the tests of a file against a policy, on a scratch host. */

import type { Plan, PlanTable } from '../../compiler/plan.js';
import { asPosternError, PosternError } from '../../errors.js';
import type { Entry } from '../../kernel/scratch.js';
import type { AddressRange } from '../../net/address.js';
import { parsePrefix, parseRange, prefixRange } from '../../net/prefix.js';
import { mergeRanges, subtractRanges } from '../../net/ranges.js';
import type { PacketLine, Policy, Position } from '../../policy/ast.js';
import { packetOf } from '../../policy/packet-line.js';
import { turned } from '../../wire/conntrack-flows.js';
import { encodePacket, portsOf } from '../../wire/packet.js';
import { type HostModel, scratchHost } from '../host.js';
import { advance, membersOf } from '../memory.js';
import { planContents, tableRanges } from '../plan-contents.js';
import { PolicyIndex } from '../policy-index.js';
import type { Outcome } from '../reading.js';
import type { Trial } from '../trial.js';
import { check, type Seen } from './check.js';
import type { Given, PolicyTest, Sent, Step, TestFile } from './model.js';

export interface Failure {
  readonly at: Position;
  readonly message: string;
}

export interface TestResult {
  readonly name: string;
  readonly at: Position;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly failures: readonly Failure[];
  /** Why it was skipped. */
  readonly reason?: string;
  /** What a reader should know of a test that passed or failed. */
  readonly notes: readonly string[];
  readonly packets: number;
  readonly ms: number;
}

export interface RunParts {
  readonly trial: Trial;
  readonly policy: Policy;
  readonly plan: Plan;
  /** Waits in real time. */
  readonly wait: (ms: number) => Promise<void>;
  /** Milliseconds that only grow. */
  readonly steady: () => number;
}

/** @throws PosternError when no test can be run at all; what one test can't do skips or fails it alone. */
export async function runTests(file: TestFile, parts: RunParts): Promise<TestResult[]> {
  const runner = new TestRunner(file, parts);
  await runner.open();
  const results: TestResult[] = [];
  for (const test of file.tests) results.push(await runner.run(test));
  return results;
}

const FIRST_FRESH_PORT = 32_768;
const LAST_PORT = 65_535;

class TestRunner {
  readonly #index: PolicyIndex;
  readonly #host: HostModel;
  readonly #devices: ReadonlyMap<string, string>;
  #problems: readonly string[] = [];
  #port = FIRST_FRESH_PORT;

  constructor(
    file: TestFile,
    private readonly parts: RunParts,
  ) {
    this.#index = new PolicyIndex(parts.policy);
    const named = withPolicyDevices(file, parts.policy);
    this.#host = named.host;
    this.#devices = named.devices;
  }

  async open(): Promise<void> {
    this.#problems = await this.parts.trial.build(scratchHost(this.#host));
  }

  async run(test: PolicyTest): Promise<TestResult> {
    const startedAt = this.parts.steady();
    const failures: Failure[] = [];
    const notes = new Set(this.#problems);
    let packets = 0;
    const end = (result: TestResult['result'], reason?: string): TestResult => ({
      ...{ name: test.name, at: test.at, result, failures, notes: [...notes], packets },
      ...(reason !== undefined && { reason }),
      ms: this.parts.steady() - startedAt,
    });
    try {
      await this.#prepare(test.given);
      for (const step of test.steps) {
        packets += step.kind === 'packets' ? step.packets.length * step.repeat : 0;
        failures.push(...(await this.#step(step, notes)));
      }
    } catch (error) {
      const { code, message } = asPosternError(error);
      if (code === 'unsupported') return end('skipped', message);
      if (!(error instanceof PosternError) || code === 'internal') throw error;
      failures.push({ at: test.at, message });
    }
    return end(failures.length === 0 ? 'passed' : 'failed');
  }

  async #prepare({ tables, flows, sockets }: Given): Promise<void> {
    const { plan, trial } = this.parts;
    for (const { table, at } of tables) {
      if (!plan.tables.some(({ name }) => name === table)) {
        throw new PosternError('not-found', `${at.line}:${at.column}: the policy has no table ${table}`);
      }
    }
    const filled = { ...plan, tables: plan.tables.map((table) => withGiven(table, tables)) };
    const contents = planContents(filled, this.#host.interfaces);
    const groups = plan.manifest.groups.map(({ group }) => group);
    await trial.load({ ruleset: plan.ruleset, contents, groups });
    await trial.scratch.serve(sockets);
    const refused = await trial.connect(flows.map(({ line }) => this.#flow(line)));
    for (const { reason } of refused) throw new PosternError('kernel', `a given connection was refused: ${reason}`);
  }

  #flow(line: PacketLine) {
    const packet = packetOf(line, () => this.#freshPort());
    const { sourcePort, destinationPort } = portsOf(packet) ?? { sourcePort: 0, destinationPort: 0 };
    const original = { source: packet.source, destination: packet.destination, sourcePort, destinationPort };
    return { protocol: packet.protocol, original, reply: turned(original) };
  }

  async #step(step: Step, notes: Set<string>): Promise<Failure[]> {
    if (step.kind === 'packets') return this.#packets(step);
    if (step.kind === 'wait') await this.parts.wait(step.ms);
    else for (const note of await advance(this.parts.trial.scratch, this.parts.plan, step.ms)) notes.add(note);
    return [];
  }

  async #packets(step: Extract<Step, { kind: 'packets' }>): Promise<Failure[]> {
    const counters = step.expect.some(
      ({ what, ...rest }) => what === 'verdict' && 'verdict' in rest && rest.verdict === 'lost',
    );
    const sent = Array.from({ length: step.repeat }, () => step.packets).flat();
    const outcomes = await this.parts.trial.send(sent.map((one) => this.#injection(one, counters)));
    const asked = step.expect.flatMap((expectation) => (expectation.what === 'tables' ? [expectation.table] : []));
    const seen: Seen = {
      outcomes,
      index: this.#index,
      plan: this.parts.plan,
      deviceOf: (name) => this.#deviceOf(name),
      tables: await this.#tables(asked),
    };
    const failures = step.expect.flatMap((expectation) => {
      const message = check(expectation, seen);
      return message === undefined ? [] : [{ at: expectation.at, message: `${message}${told(step, outcomes)}` }];
    });
    return [...failures, ...(step.expect.length === 0 ? incompleteOnes(step, outcomes) : [])];
  }

  #injection({ line, at }: Sent, counters: boolean) {
    const packet = encodePacket(packetOf(line, () => this.#freshPort()));
    return { packet, at: this.#entry(line, at), counters };
  }

  #entry({ from, mark, uid }: PacketLine, at: Position): Entry {
    if (from === undefined)
      return { local: { ...(mark !== undefined && { mark }), ...(uid !== undefined && { uid }) } };
    const device = this.#deviceOf(from);
    if (device !== undefined) return { device };
    const known = [...this.#devices.keys(), 'host'].join(', ');
    throw new PosternError(
      'not-found',
      `${at.line}:${at.column}: the host has no interface ${from}; there are ${known}`,
    );
  }

  #deviceOf(name: string): string | undefined {
    const device = this.#devices.get(name) ?? this.parts.policy.interfaces.get(name)?.device ?? name;
    return this.#host.interfaces.some((one) => one.device === device) ? device : undefined;
  }

  async #tables(names: readonly string[]): Promise<Map<string, readonly AddressRange[] | undefined>> {
    const tables = new Map<string, readonly AddressRange[] | undefined>();
    for (const name of new Set(names)) tables.set(name, await this.#table(name));
    return tables;
  }

  async #table(name: string): Promise<readonly AddressRange[] | undefined> {
    const { plan, trial } = this.parts;
    const table = plan.tables.find((one) => one.name === name);
    if (table === undefined) return undefined;
    const sets = plan.manifest.sets.filter(({ role }) => role.kind === 'table' && role.table === name);
    const lists = await membersOf(trial.scratch, plan.manifest, sets);
    const ranges = lists
      .flat()
      .map(({ text }) => (text.includes('-') ? parseRange(text) : prefixRange(parsePrefix(text))));
    const own = ([4, 6] as const).flatMap((family) => tableRanges(table.entries, family));
    return subtractRanges(mergeRanges(ranges), own);
  }

  #freshPort(): number {
    this.#port = this.#port >= LAST_PORT ? FIRST_FRESH_PORT : this.#port + 1;
    return this.#port;
  }
}

/** The packet that a failure is about, when there is only one. */
function told({ packets, repeat }: Extract<Step, { kind: 'packets' }>, outcomes: readonly Outcome[]): string {
  if (packets.length === 1) return `: ${packets[0]!.text}${repeat > 1 ? ` (${outcomes.length} times)` : ''}`;
  return '';
}

/** A packet of which nothing is expected must at least be known to have gone somewhere. */
function incompleteOnes({ packets }: Extract<Step, { kind: 'packets' }>, outcomes: readonly Outcome[]): Failure[] {
  return outcomes.flatMap(({ incomplete }, index) => {
    const sent = packets[index % packets.length]!;
    return incomplete === undefined ? [] : [{ at: sent.at, message: `incomplete: ${incomplete}: ${sent.text}` }];
  });
}

function withGiven(table: PlanTable, given: Given['tables']): PlanTable {
  const more = given
    .filter((one) => one.table === table.name)
    .flatMap(({ entries }) => entries.map((range) => ({ range, not: false, origin: table.origin })));
  return more.length === 0 ? table : { ...table, entries: [...table.entries, ...more] };
}

/** An interface of the host that the policy knows by another device gets that device. */
function withPolicyDevices({ host, devices }: TestFile, { interfaces }: Policy): Pick<TestFile, 'host' | 'devices'> {
  const renamed = new Map(
    [...devices].map(([name, device]) => [name, device === name ? (interfaces.get(name)?.device ?? device) : device]),
  );
  const names = [...devices.keys()];
  return {
    host: {
      ...host,
      interfaces: host.interfaces.map((one, index) => ({ ...one, device: renamed.get(names[index]!) ?? one.device })),
    },
    devices: renamed,
  };
}
