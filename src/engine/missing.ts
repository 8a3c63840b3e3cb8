/** Asked for by a name that the policy doesn't have. */

import { PosternError } from '../errors.js';

/**
 * @param what `table`, `account`
 * @param known the names that would have been right
 */
export function missing(what: string, name: string, known: Iterable<string>): PosternError {
  const names = [...known];
  const others = names.length === 0 ? 'the policy has none' : `the policy has: ${names.join(', ')}`;
  return new PosternError('not-found', `there is no ${what} ${name}; ${others}`);
}
