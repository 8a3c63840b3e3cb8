/** An engine with a store, over the fake kernel: what outlives the daemon, and what the machine. */

import { createEngine } from '../../src/engine/create.js';
import type { CompilePolicy } from '../../src/engine/policy-control.js';
import { type FakeKernel, fakeKernel } from '../../src/kernel/fake.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { openStore } from '../../src/store/open.js';
import type { StoreClock } from '../../src/store/system-clock.js';
import { FakeClock } from './fake-clock.js';
import { type Bench, compile as plainCompile } from './fixture.js';

export interface StoreBench extends Pick<Bench, 'engine' | 'kernel' | 'clock' | 'text'> {
  /** Ends the daemon and starts it anew, on the same kernel or after a reboot. */
  again(what: 'restart' | 'reboot'): Promise<void>;
}

/** An engine with a store on a disk that outlives both. */
export async function storeBench(policy: string, compile: CompilePolicy = plainCompile): Promise<StoreBench> {
  const [disk, clock] = [memoryDisk(), new FakeClock()];
  const storeClock: StoreClock = {
    wallMs: () => clock.wall(),
    steadyMs: () => clock.steady(),
    reading: () => ({ bootId: 'boot', wallMs: clock.wall(), uptimeMs: clock.steady() }),
  };
  const booted = () => fakeKernel({ now: () => clock.steady() });
  const open = async (kernel: FakeKernel) => {
    const store = await openStore({ disk, node: 'fw1', clock: storeClock });
    const readPolicy = async () => ({ file: 'policy.yaml', text: made.text });
    const engine = createEngine({ kernel, compile, readPolicy, clock, store });
    await engine.start();
    return { store, engine, kernel };
  };
  const made = { clock, text: policy } as StoreBench;
  let { store, ...parts } = await open(booted());
  return Object.assign(made, {
    ...parts,
    async again(what: 'restart' | 'reboot') {
      await made.engine.stop();
      await store.close();
      ({ store, ...parts } = await open(what === 'reboot' ? booted() : made.kernel.reopened()));
      Object.assign(made, parts);
    },
  });
}
