/** Our rules on a scratch host, with the daemon's responder beside them: packets in, what is answered out. */

import type { Plan } from '../../src/compiler/plan.js';
import { responderWay } from '../../src/extensions/responder.js';
import { openScratch } from '../../src/kernel/open-scratch.js';
import type { Scratch } from '../../src/kernel/scratch.js';
import { renderRuleset } from '../../src/nft/render.js';
import { scratchHost } from '../../src/oracle/host.js';
import { planContents } from '../../src/oracle/plan-contents.js';
import { answerSegment } from '../../src/services/responder/answer.js';
import { readLogCopies } from '../../src/wire/nflog.js';
import type { Scope } from '../kernel/namespace.js';
import { compiled, world } from '../kernel/scratch-world.js';
import { decodeGolden, type GoldenFields } from './golden.js';

export interface GoldenHost {
  /** Loads a policy. */
  policy(text: string): Promise<Plan>;
  /** What is sent back for a packet that comes in by `wan`, by the kernel or the responder. */
  answers(packet: Uint8Array): Promise<readonly GoldenFields[]>;
  readonly scratch: Scratch;
}

/** Local addresses of the host, and ones that it forwards to. */
export const localAddress = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
export const routedAddress = { 4: '198.51.100.77', 6: '2001:db8:1::77' } as const;
export const strangerAddress = { 4: '203.0.113.5', 6: '2001:db8:7::5' } as const;

export async function goldenHost(scope: Scope): Promise<GoldenHost> {
  const scratch = await openScratch();
  scope.after(async () => scratch.dispose());
  const { problems } = await scratch.build(scratchHost(world));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return {
    scratch,
    async policy(text) {
      const plan = compiled(text);
      const contents = planContents(plan, world.interfaces);
      const tables = plan.ruleset.tables.map((table) => ({
        ...table,
        sets: table.sets.map((set) => {
          const elements = contents.get(`${table.family} ${table.name} ${set.name}`);
          return elements === undefined ? set : { ...set, elements };
        }),
      }));
      await scratch.load(renderRuleset({ tables }));
      await scratch.listen(plan.manifest.groups.map(({ group }) => group));
      return plan;
    },
    async answers(packet) {
      const [run] = await scratch.inject([{ packet, at: { device: 'wan' } }]);
      if (run === undefined) throw new Error('the scratch host is gone');
      const sent = run.frames
        .filter(({ device }) => device === 'wan')
        .map(({ bytes }) => Buffer.from(bytes.subarray(14)));
      const written = readLogCopies(Buffer.from(run.copies)).flatMap((copy) => responded(copy.prefix, copy.packet));
      return [...sent, ...written].map(decodeGolden);
    },
  };
}

/** The responder's answer to a copy, as the kernel would send it. */
function responded(prefix: string, copy: Uint8Array): Buffer[] {
  const mode = responderWay(prefix)?.mode;
  if (mode === undefined) throw new Error(`no rule of a trap logs "${prefix}"`);
  let packet: Buffer | undefined;
  const draw = Math.floor(Math.random() * 2 ** 32);
  const view = new DataView(copy.buffer, copy.byteOffset, copy.length);
  answerSegment({ view, payloadFrom: 0, payloadTo: copy.length }, mode, draw, (_, bytes) => {
    packet = Buffer.alloc(bytes, 0xee);
    return new DataView(packet.buffer, packet.byteOffset, bytes);
  });
  return packet === undefined ? [] : [packet];
}
