import type { FakeKernel } from '../../src/kernel/fake.js';
import { fakeKernel } from '../../src/kernel/fake.js';
import { type Bench, host, kernelBehaviour } from './behaviour.js';
import { ipsetBehaviour } from './ipset-behaviour.js';

/** Places of `a4_sales`, `c_seen` and `q_guest` in the manifest of the tests. */
const [ACCOUNT, COUNTER, QUOTA] = [2, 0, 1];
const packetBytes = 84;

async function open(): Promise<Bench> {
  let now = 1_000_000;
  const kernel = fakeKernel({ now: () => now });
  return {
    kernel,
    reopened: async () => kernel.reopened(),
    async pass(ms) {
      now += ms;
    },
    async send(sender, packets) {
      const fake = sender as FakeKernel;
      fake.packets(ACCOUNT, host('127.0.0.1').key, packets, packets * packetBytes);
      for (const object of [COUNTER, QUOTA]) fake.countPackets(object, packets, packets * packetBytes);
    },
  };
}

kernelBehaviour(open);
ipsetBehaviour(open);
