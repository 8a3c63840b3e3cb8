/** Tables that aren't ours beside a ruleset on the scratch host: those that load, and the names of those that don't. */

import { asPosternError, PosternError } from '../errors.js';
import type { Trial, TrialLoad } from './trial.js';

export interface LoadableTables {
  readonly texts: readonly string[];
  /** What could not be loaded, for people. */
  readonly problems: readonly string[];
  /** The ruleset is loaded with all of them. */
  readonly isLoaded: boolean;
}

/**
 * @param foreign nft text by `family name`
 * @throws PosternError `kernel` when the ruleset itself can't be loaded
 */
export async function loadableTables(
  trial: Trial,
  load: TrialLoad,
  foreign: ReadonlyMap<string, string>,
): Promise<LoadableTables> {
  try {
    await trial.load({ ...load, foreign: [...foreign.values()] });
    return { texts: [...foreign.values()], problems: [], isLoaded: true };
  } catch (error) {
    if (foreign.size === 0 || !(error instanceof PosternError)) throw error;
  }
  const texts: string[] = [];
  const problems: string[] = [];
  for (const [name, text] of foreign) {
    try {
      await trial.load({ ...load, foreign: [...texts, text] });
      texts.push(text);
    } catch (error) {
      problems.push(`table ${name} could not be copied (${asPosternError(error).message}): the verdict is without it`);
    }
  }
  return { texts, problems, isLoaded: false };
}
