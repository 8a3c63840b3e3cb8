/** What xt_DELUDE answers to a TCP segment: a SYN is taken, all else refused as by a closed port. */

import type { TcpFields, TcpSegment } from './tarpit.js';

const fin = 0x01;
const syn = 0x02;
const rst = 0x04;
const ackFlag = 0x10;

/** The reply, or undefined when there is none. */
export function deludeReply({ flags, seq, ack, payloadLength }: TcpSegment): TcpFields | undefined {
  if ((flags & rst) !== 0) return undefined;
  if ((flags & ackFlag) !== 0) return { flags: rst, seq: ack, ack: 0, window: 0 };
  const taken = Number((flags & syn) !== 0) + Number((flags & fin) !== 0) + payloadLength;
  const isOpened = (flags & (syn | fin)) === syn;
  return { flags: ackFlag | (isOpened ? syn : rst), seq: 0, ack: (seq + taken) >>> 0, window: 0 };
}
