/** Entering network namespaces. They belong to a thread, so the calling thread goes in and comes back at once. */

import { PosternError } from '../errors.js';
import { CallError, CLONE_NEWNET, ERRNO, lastErrno, libc, O_CLOEXEC, O_RDONLY } from './layouts.js';

/** Where `ip netns` keeps its names. */
const NAMES = '/run/netns';

/**
 * Runs `make` inside the named network namespace. What it opens (sockets, files of /proc/thread-self/net) stays there;
 * the thread itself is back when this returns.
 * @param namespace a name of `ip netns`; undefined: where the thread is.
 * @throws PosternError `not-found` when there is no such namespace, `system` when it may not be entered.
 */
export function inNamespace<T>(namespace: string | undefined, make: () => T): T {
  if (namespace === undefined) return make();
  return withNamespace(namespace, (target) =>
    awayFromHome(`network namespace ${namespace}`, () => libc.setns(target, CLONE_NEWNET), make),
  );
}

/**
 * Moves the calling thread into the named network namespace for good: its sockets, its children and the threads that
 * it starts from now on are in there.
 * @throws PosternError as `inNamespace`.
 */
export function enterNamespace(namespace: string): void {
  withNamespace(namespace, (target) => {
    if (libc.setns(target, CLONE_NEWNET) < 0) throw notEntered(`network namespace ${namespace}`);
  });
}

function withNamespace<T>(namespace: string, use: (target: number) => T): T {
  if (!/^[\w.-]+$/.test(namespace) || namespace === '.' || namespace === '..') {
    throw new PosternError('invalid', `network namespace: ${JSON.stringify(namespace)} is not a name`);
  }
  const target = libc.open(`${NAMES}/${namespace}`, O_RDONLY | O_CLOEXEC);
  if (target < 0) {
    const errno = lastErrno();
    if (errno === ERRNO.ENOENT) {
      throw new PosternError('not-found', `network namespace ${namespace}: not in ${NAMES}; see 'ip netns list'`);
    }
    throw new PosternError('system', `network namespace ${namespace}: ${new CallError('open', errno).message}`);
  }
  try {
    return use(target);
  } finally {
    libc.close(target);
  }
}

/**
 * Runs `make` inside a new network namespace without a name, which lives as long as a socket opened in it.
 * @throws PosternError `system` without the right to make one (CAP_SYS_ADMIN).
 */
export function inScratchNamespace<T>(make: () => T): T {
  return awayFromHome('scratch network namespace', () => libc.unshare(CLONE_NEWNET), make);
}

function awayFromHome<T>(what: string, leave: () => number, make: () => T): T {
  const home = libc.open('/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  if (home < 0) throw new PosternError('system', `${what}: ${new CallError('open', lastErrno()).message}`);
  try {
    if (leave() < 0) throw notEntered(what);
    try {
      return make();
    } finally {
      returnTo(home);
    }
  } finally {
    libc.close(home);
  }
}

function notEntered(what: string): PosternError {
  return new PosternError('system', `${what}: ${errnoText()}; entering a namespace needs CAP_SYS_ADMIN`);
}

function returnTo(home: number): void {
  if (libc.setns(home, CLONE_NEWNET) === 0) return;
  // Going on in a foreign namespace would apply a policy to the wrong host.
  throw new PosternError('internal', `can't return to the own network namespace: ${errnoText()}`);
}

function errnoText(): string {
  return new CallError('setns', lastErrno()).message;
}
