/** An engine over the fake kernel, with real policies. */

import { compilePolicy } from '../../src/compiler/compile.js';
import { createEngine } from '../../src/engine/create.js';
import type { Engine } from '../../src/engine/engine.js';
import type { EngineOptions } from '../../src/engine/engine-options.js';
import type { CompilePolicy } from '../../src/engine/policy-control.js';
import type { EntryView } from '../../src/engine/tables.js';
import { PosternError } from '../../src/errors.js';
import { vocabulary } from '../../src/extensions/registry.js';
import { type FakeKernel, fakeKernel } from '../../src/kernel/fake.js';
import { formatPrefix, parsePrefix } from '../../src/net/prefix.js';
import { parsePolicy } from '../../src/policy/parse.js';
import { FakeClock } from './fake-clock.js';

/** Files that policies name, by path. */
export const lists = new Map<string, string>();

export const compile: CompilePolicy = async (source, previous) => {
  const { policy, diagnostics } = parsePolicy(source.text, {
    file: source.file,
    vocabulary,
    readList: (path) => lists.get(path),
  });
  if (policy === undefined) throw new PosternError('policy', diagnostics[0]!.message, { details: diagnostics });
  const result = compilePolicy(policy, previous === undefined ? {} : { previous });
  if (result.plan === undefined) {
    throw new PosternError('policy', result.diagnostics[0]!.message, { details: result.diagnostics });
  }
  return { source, policy, plan: result.plan };
};

export interface Bench {
  engine: Engine;
  kernel: FakeKernel;
  readonly clock: FakeClock;
  /** The policy file. */
  text: string;
  /** Ends the engine and starts another on the same kernel. */
  restart(): Promise<void>;
}

export const source = { kind: 'cli', id: 'test' } as const;

/** A started engine on a kernel without tables. */
export async function bench(text: string, options: Partial<EngineOptions> = {}): Promise<Bench> {
  const clock = new FakeClock();
  const kernel = fakeKernel({ now: () => clock.steady() });
  const made: Bench = {
    engine: undefined as unknown as Engine,
    kernel,
    clock,
    text,
    async restart() {
      await made.engine.stop();
      made.kernel = made.kernel.reopened();
      await open();
    },
  };
  const open = async () => {
    made.engine = createEngine({
      kernel: made.kernel,
      compile,
      readPolicy: async () => ({ file: 'policy.yaml', text: made.text }),
      clock,
      ...options,
    });
    await made.engine.start();
  };
  await open();
  return made;
}

/** `10.0.0.0/8`, `not 10.1.2.3`. */
export function entry(text: string, timeoutMs?: number): { prefix: ReturnType<typeof parsePrefix>; not: boolean } {
  const not = text.startsWith('not ');
  const prefix = parsePrefix(not ? text.slice(4) : text);
  return { prefix, not, ...(timeoutMs !== undefined && { timeoutMs }) };
}

export function entries(...texts: readonly string[]) {
  return texts.map((text) => entry(text));
}

export function words(views: Iterable<EntryView>): string[] {
  return Array.from(views, ({ prefix, not }) => `${not ? 'not ' : ''}${formatPrefix(prefix)}`);
}
