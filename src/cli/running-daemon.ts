/** Commands that ask the daemon when it runs and do the work themselves when it doesn't. */

import { type Daemon, daemonAnswers, daemonOf, daemonOptions } from './client.js';
import type { Call } from './command.js';
import { placeOptions } from './defaults.js';

/** Options of such commands. */
export const eitherOptions = { ...placeOptions, ...daemonOptions } as const;

/**
 * The daemon that answers. Who names a namespace or a state folder, and no socket, means these and no daemon.
 * @throws PosternError when it can't be known whether one runs.
 */
export async function runningDaemon({
  values,
  io,
}: Pick<Call<typeof eitherOptions>, 'values' | 'io'>): Promise<Daemon | undefined> {
  const elsewhere = values.netns !== undefined || values.state !== undefined;
  if (elsewhere && values.socket === undefined) return undefined;
  const daemon = daemonOf({ values, io });
  return (await daemonAnswers(daemon)) ? daemon : undefined;
}
