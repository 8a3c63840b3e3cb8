/** Who may come in over TCP: how often, and with which token. */

import type { FastifyInstance } from 'fastify';
import { PosternError } from '../errors.js';
import { bears, type Token } from './auth.js';
import { failedTokenRate, requestRate } from './limits.js';
import { limitedPeer, RateGuard, type RateLimit } from './rate.js';

export interface GuardOptions {
  /** Milliseconds. */
  readonly now: () => number;
  readonly token: Token;
  readonly requestRate?: RateLimit;
  readonly failedTokenRate?: RateLimit;
}

/** The web page, which holds nothing until it is given a token. */
export const pagePaths = { html: '/', js: '/page.js', css: '/page.css' } as const;

/** What anyone may see. */
const open: ReadonlySet<string> = new Set(['/healthz', '/readyz', ...Object.values(pagePaths)]);

export function guard(api: FastifyInstance, options: GuardOptions): void {
  const requests = new RateGuard(options.requestRate ?? requestRate, options.now);
  const failures = new RateGuard(options.failedTokenRate ?? failedTokenRate, options.now);

  api.addHook('onRequest', async (request, reply) => {
    const peer = limitedPeer(request.ip);
    const limiter = failures.exhausted(peer) ? failures : requests;
    if (failures.exhausted(peer) || !requests.take(peer)) {
      reply.header('retry-after', String(limiter.retryAfterSeconds(peer)));
      throw new PosternError('throttled', 'too many requests; Retry-After says when to come again');
    }
    if (open.has(request.routeOptions.url ?? '')) return;
    if (bears(options.token, request.headers.authorization)) return;
    failures.take(peer);
    throw new PosternError('unauthorized', "this needs the header 'Authorization: Bearer TOKEN' with the right token");
  });
}
