/**
 * The engine over a namespace, and packets into it one by one: which rules took each of them, by the rules' own
 * counters. What a daemon does between packets happens between packets. Needs root.
 */

import { compileText } from '../../src/cli/policy-file.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import { RawSender } from '../../src/kernel/raw-sender.js';
import { encodePacket, type Packet } from '../../src/wire/packet.js';
import { type LiveBench, liveBench } from './engine-fixture.js';
import { type Namespace, namespace, type Scope } from './namespace.js';

export interface RuleBed {
  readonly space: Namespace;
  readonly bench: LiveBench;
  /** Applies another policy. */
  policy(text: string): Promise<void>;
  /** Puts the packet on lo and answers how often each named rule took it, in the order of the policy. */
  send(packet: Packet | Uint8Array): Promise<number[]>;
}

export async function ruleBed(scope: Scope, text: string, options: Partial<EngineOptions> = {}): Promise<RuleBed> {
  const space = await namespace(scope);
  await space.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.lo.rp_filter=0');
  const bench = await liveBench(scope, space, text, {
    compile: async (source, previous) => compileText(source, previous),
    ...options,
  });
  const sender = new RawSender(space.name);
  scope.after(async () => sender.close());

  const counts = (): Promise<number[]> => {
    const { objects } = bench.engine.policy.current!.plan.manifest;
    const rules = objects.flatMap(({ role }, index) => (role.kind === 'rule' ? [index] : []));
    return Promise.all(rules.map(async (index) => Number((await bench.kernel.object(index)).packets)));
  };

  return {
    space,
    bench,
    async policy(next) {
      bench.text = next;
      await bench.engine.policy.apply();
    },
    async send(packet) {
      const bytes = packet instanceof Uint8Array ? packet : encodePacket(packet);
      const before = await counts();
      sender.queue(bytes);
      sender.flush();
      return (await counts()).map((count, index) => count - before[index]!);
    },
  };
}
