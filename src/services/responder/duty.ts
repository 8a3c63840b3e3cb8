/** The responder in the packet worker: the prefix of a copy says how it is answered, and on which way. */

import { type ResponderWay, responderWay } from '../../extensions/responder.js';
import type { CreateDuty, DutyOutput } from '../../kernel/packet-duty.js';
import type { LoggedPacket } from '../../wire/nflog.js';
import { answerSegment } from './answer.js';

export const createDuty: CreateDuty = () => {
  let output: DutyOutput | undefined;
  let asked: LoggedPacket | undefined;
  let prefix = '';
  let way: ResponderWay | undefined;
  const routed = (family: 4 | 6, bytes: number): DataView | undefined => output?.reply(family, bytes);
  const back = (family: 4 | 6, bytes: number): DataView | undefined => asked && output?.replyBack(asked, family, bytes);
  return {
    packet(packet, out) {
      // Mostly it is that of the packet before.
      if (packet.prefix !== prefix) {
        prefix = packet.prefix;
        way = responderWay(prefix);
      }
      if (way === undefined) return;
      output = out;
      asked = packet;
      answerSegment(packet, way.mode, Math.floor(Math.random() * 0x1_0000_0000), way.back ? back : routed);
    },
  };
};
