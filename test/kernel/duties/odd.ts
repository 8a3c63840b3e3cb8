/** Does with its packets what its spec says: for tests of the packet worker. */

import type { CreateDuty } from '../../../src/kernel/packet-duty.js';

export interface OddSpec {
  /** Tell the number of packets so far, with the last one's facts. */
  readonly tell?: boolean;
  readonly throw?: boolean;
  /** Hold up the worker on the first packet, until this word is not 0. */
  readonly gate?: SharedArrayBuffer;
  /** Can't be made. */
  readonly broken?: boolean;
}

export const createDuty: CreateDuty = (given) => {
  const spec = given as OddSpec;
  if (spec.broken) throw new Error('this duty is broken');
  let seen = 0;
  return {
    packet(packet, out) {
      seen++;
      if (spec.gate !== undefined) Atomics.wait(new Int32Array(spec.gate), 0, 0, 60_000);
      if (spec.tell) {
        const { prefix, hook, mark, group, payloadBytes, payload } = packet;
        out.event({ seen, prefix, hook, mark, group, payloadBytes, version: (payload[0] as number) >> 4 });
      }
      if (spec.throw) {
        out.reply(4, 40)?.setUint8(0, 0);
        throw new Error('odd');
      }
    },
  };
};
