/**
 * What a kernel has told of some packets, in tape.json: recorded anew, as root, by
 *
 *     POSTERN_RECORD=1 node dist/test/oracle/tape.js
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fakeScratch, recordingScratch, type Tape } from '../../src/kernel/fake-scratch.js';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Injection, Scratch } from '../../src/kernel/scratch.js';
import { parseAddress } from '../../src/net/address.js';
import type { Ruleset } from '../../src/nft/model.js';
import { scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import type { Outcome } from '../../src/oracle/reading.js';
import { Trial } from '../../src/oracle/trial.js';
import { packetOf, parseLine } from '../../src/policy/packet-line.js';
import { turned } from '../../src/wire/conntrack-flows.js';
import { encodePacket } from '../../src/wire/packet.js';
import { compiled, world } from '../kernel/scratch-world.js';

/** Compiled tests run from dist/test. */
const file = join(import.meta.dirname, '../../../test/oracle/tape.json');

export const packets = {
  accepted: 'tcp wan 203.0.113.5:40001 > 192.0.2.1:22',
  banned: 'tcp wan 203.0.113.70:40002 > 192.0.2.1:22',
  unwanted: 'tcp wan 203.0.113.5:40003 > 192.0.2.1:23',
  refused: 'tcp wan 203.0.113.5:40004 > 192.0.2.1:25',
  martian: 'tcp wan 127.0.0.1:40005 > 192.0.2.1:22',
  onward: 'tcp lan 198.51.100.7:40006 > 203.0.113.9:443',
  known: 'tcp wan 203.0.113.5:40007 > 192.0.2.1:8080 ack',
  stray: 'tcp wan 203.0.113.5:40008 > 192.0.2.1:8080 syn,ack',
  own: 'udp host 192.0.2.1:40009 > 203.0.113.5:53',
  reflected: 'tcp wan 203.0.113.5:40010 > 192.0.2.1:2323',
} as const;

export type PacketName = keyof typeof packets;

const policy = `
version: 1
interfaces: { wan: wan, lan: lan }
tables: { bad: { entries: [203.0.113.64/26] } }
chains:
  ingress:
    on: wan
    rules:
      - { tcp: 2323, do: tarpit }
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { in: wan, tcp: 22, do: accept }
      - { tcp: 25, do: reject with tcp-reset }
  forward:
    policy: drop
    rules:
      - { in: lan, out: wan, do: accept }
`;

interface Recorded {
  readonly ruleset: Ruleset;
  readonly tape: Tape;
}

async function run(scratch: Scratch, ruleset: Ruleset, contents = new Map()): Promise<[Trial, Outcome[]]> {
  const trial = new Trial(scratch);
  await trial.build(scratchHost(world));
  await trial.load({ ruleset, contents, twin: true });
  const tuple = {
    ...{ source: parseAddress('203.0.113.5'), destination: parseAddress('192.0.2.1') },
    ...{ sourcePort: 40_007, destinationPort: 8080 },
  };
  await trial.connect([{ protocol: 6, original: tuple, reply: turned(tuple) }]);
  return [trial, await trial.send(Object.values(packets).map(injectionOf))];
}

export function injectionOf(text: string): Injection {
  const line = parseLine(text);
  const at = line.from === undefined ? { local: {} } : { device: line.from };
  return { packet: encodePacket(packetOf(line, () => 40_000)), at, counters: true };
}

const recorded = (): Recorded => JSON.parse(readFileSync(file, 'utf8')) as Recorded;

/** Plays the tape: what became of each packet. `change` makes something else of the tape before. */
export async function played(
  change: (tape: Tape) => Tape = (tape) => tape,
): Promise<{ readonly trial: Trial; readonly outcomes: Readonly<Record<PacketName, Outcome>> }> {
  const { ruleset, tape } = recorded();
  const [trial, outcomes] = await run(fakeScratch(change(tape)), ruleset);
  const names = Object.keys(packets) as PacketName[];
  return { trial, outcomes: Object.fromEntries(names.map((name, index) => [name, outcomes[index]])) as never };
}

if (process.env.POSTERN_RECORD !== undefined) {
  const plan = compiled(policy);
  const { scratch, tape } = recordingScratch(await openScratch());
  const [trial] = await run(scratch, plan.ruleset, planContents(plan, world.interfaces));
  trial.dispose();
  writeFileSync(file, `${JSON.stringify({ ruleset: plan.ruleset, tape })}\n`);
}
