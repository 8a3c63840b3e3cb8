/** A command once more, inside a user namespace where it is root over a network of its own. */

import { spawnSync } from 'node:child_process';
import { PosternError } from '../errors.js';

/** Set for the command inside, so that it doesn't look for a third way. */
const mark = 'POSTERN_USER_NAMESPACE';

/**
 * Runs this command line again under `unshare -Urn` and answers its exit status.
 * @throws PosternError `forbidden` where the kernel doesn't let users do so.
 */
export function inUserNamespace(): number {
  const isAllowed = spawnSync('unshare', ['-Urn', 'true'], { encoding: 'utf8' });
  if (isAllowed.status !== 0) {
    const why = isAllowed.error?.message ?? isAllowed.stderr.trim();
    throw new PosternError('forbidden', `this kernel lets only root make network namespaces (${why}): run it as root`);
  }
  const { status } = spawnSync('unshare', ['-Urn', process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [mark]: '1' },
  });
  return status ?? 1;
}

inUserNamespace.isInside = process.env[mark] !== undefined;
