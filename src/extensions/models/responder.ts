/** What the responder answers to a TCP segment: header fields in, header fields out. */

import { deludeReply } from './delude.js';
import { type TarpitMode, type TcpFields, type TcpSegment, tarpitReply } from './tarpit.js';

/** How a copy is to be answered; the log prefix of its rule. */
export type ResponderMode = TarpitMode | 'delude';

export const responderModes: readonly ResponderMode[] = ['tarpit', 'honeypot', 'reset', 'delude'];

/**
 * The reply, or undefined when there is none.
 * @param draw a uniformly random unsigned 32-bit number; only honeypot mode uses it.
 */
export function responderReply(mode: ResponderMode, segment: TcpSegment, draw: number): TcpFields | undefined {
  return mode === 'delude' ? deludeReply(segment) : tarpitReply(mode, segment, draw);
}
