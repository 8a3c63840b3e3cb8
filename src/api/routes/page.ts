/** The web page: three files, nothing from elsewhere, nothing inline. */

import { readFileSync } from 'node:fs';
import type { Api } from '../api.js';
import { pagePaths } from '../guard.js';

/** Scripts, styles and requests of its own origin, and nothing else (CSP level 3). */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Not compiled: they stay where the sources are. */
const folder = new URL('../../../../src/api/page/', import.meta.url);

const types = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};

export function pageRoutes(api: Api): void {
  for (const [type, path] of Object.entries(pagePaths) as [keyof typeof types, string][]) {
    const text = readFileSync(new URL(`page.${type}`, folder), 'utf8');
    api.get(path, { schema: { hide: true } }, async (_request, reply) =>
      reply
        .type(types[type])
        .headers({
          'content-security-policy': contentSecurityPolicy,
          'referrer-policy': 'no-referrer',
          'cross-origin-resource-policy': 'same-origin',
          'cache-control': 'no-cache',
        })
        .send(text),
    );
  }
}
