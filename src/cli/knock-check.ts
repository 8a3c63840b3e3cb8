/** Whether a knock has done what it should: asked of the door itself. */

import type { Io } from './command.js';
import { connects } from './datagram.js';

const checkMs = 5_000;

/**
 * Says whether `endpoint` takes connections; answers 0 when that is as wanted, 1 when it isn't after five seconds.
 * @param again knocks once more: a datagram may be lost
 */
export async function checkDoor(
  endpoint: string,
  wanted: boolean,
  io: Pick<Io, 'out'>,
  again?: () => Promise<void>,
): Promise<number> {
  const takes = await connects(endpoint, checkMs, wanted, again);
  await io.out(`${endpoint} ${takes ? 'takes connections' : 'takes no connections'}\n`);
  return takes === wanted ? 0 : 1;
}
