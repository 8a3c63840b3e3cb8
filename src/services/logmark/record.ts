/** From the copy of a packet to the line that is logged of it. Pure but for the look into conntrack, which is given. */

import { type LogmarkSaid, readLogmarkPrefix } from '../../extensions/logmark.js';
import { type LogmarkConnection, type LogmarkRecord, logmarkStatuses } from '../../extensions/models/logmark.js';
import { FLOW_STATUS, type FlowState, type FlowTuple } from '../../wire/conntrack-flows.js';
import type { MarkedCopy } from './duty.js';
import { tupleOf } from './tuple.js';

const hooks = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const;

/** The connection with this tuple in one of its directions, as it is now. */
export type FindFlow = (protocol: number, tuple: FlowTuple) => FlowState | undefined;

export interface LeveledRecord extends LogmarkRecord {
  readonly level: number;
}

/** Undefined for a copy that no `logmark` made. @throws what `find` throws */
export function recordOf(copy: MarkedCopy, find: FindFlow): LeveledRecord | undefined {
  const said = readLogmarkPrefix(copy.prefix);
  if (said === undefined) return undefined;
  const { level, prefix, state, direction } = said;
  const tuple = state === 'INVALID' ? undefined : tupleOf(copy.packet);
  const connection = connectionOf(copy, said, tuple && find(tuple.protocol, tuple));
  return {
    level,
    prefix,
    device: copy.device,
    hook: hooks[copy.hook] ?? 'UNKNOWN',
    mark: copy.mark,
    direction,
    state,
    ...(connection !== undefined && { connection }),
  };
}

/** @param flow what conntrack has now: another connection may have taken the place, or none be there any more. */
function connectionOf(
  { connection }: MarkedCopy,
  { state, confirmed }: LogmarkSaid,
  flow: FlowState | undefined,
): LogmarkConnection | undefined {
  const { id, mark } = connection ?? flow ?? {};
  if (id === undefined || mark === undefined) return undefined;
  const now = flow?.id === id ? flow : undefined;
  const has = (bit: keyof typeof FLOW_STATUS): boolean => ((now?.status ?? 0) & FLOW_STATUS[bit]) !== 0;
  // Behind the rule every connection is soon confirmed and answered.
  const saw = {
    CONFIRMED: confirmed,
    SEEN_REPLY: state === 'ESTABLISHED',
    ASSURED: has('ASSURED'),
    EXPECTED: has('EXPECTED'),
  };
  return {
    id,
    mark,
    translated: (['SNAT', 'DNAT'] as const).filter(has),
    status: logmarkStatuses.filter((one) => saw[one]),
    ...(now?.lifetimeS !== undefined && { lifetimeS: now.lifetimeS }),
  };
}
