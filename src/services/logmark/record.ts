/** From the copy of a packet to the line that is logged of it. Pure but for the look into conntrack, which is given. */

import { readLogmarkPrefix } from '../../extensions/logmark.js';
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
  const { level, prefix, state, direction, confirmed } = said;
  const tuple = state === 'INVALID' ? undefined : tupleOf(copy.packet);
  const flow = tuple && find(tuple.protocol, tuple);
  return {
    level,
    prefix,
    device: copy.device,
    hook: hooks[copy.hook] ?? 'UNKNOWN',
    mark: copy.mark,
    direction,
    state,
    ...(flow !== undefined && { connection: connectionOf(flow, confirmed) }),
  };
}

/** @param confirmed whether the rule saw it so: behind the rule every connection soon is. */
function connectionOf({ id, mark, status, lifetimeS }: FlowState, confirmed: boolean): LogmarkConnection {
  const has = (bit: keyof typeof FLOW_STATUS): boolean => (status & FLOW_STATUS[bit]) !== 0;
  return {
    id,
    mark,
    translated: (['SNAT', 'DNAT'] as const).filter(has),
    status: logmarkStatuses.filter((one) => (one === 'CONFIRMED' ? confirmed : has(one))),
    ...(lifetimeS !== undefined && { lifetimeS }),
  };
}
