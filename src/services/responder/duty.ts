/** The responder in the packet worker: the prefix of a copy says how it is answered. */

import { type ResponderMode, responderModes } from '../../extensions/models/responder.js';
import type { CreateDuty, DutyOutput } from '../../kernel/packet-duty.js';
import { answerSegment } from './answer.js';

const modes = new Set<string>(responderModes);
const isMode = (prefix: string): prefix is ResponderMode => modes.has(prefix);

export const createDuty: CreateDuty = () => {
  let output: DutyOutput | undefined;
  const allocate = (family: 4 | 6, bytes: number): Buffer | undefined => output?.reply(family, bytes);
  return {
    packet(packet, out) {
      const { prefix } = packet;
      if (!isMode(prefix)) return;
      output = out;
      answerSegment(packet, prefix, Math.floor(Math.random() * 0x1_0000_0000), allocate);
    },
  };
};
