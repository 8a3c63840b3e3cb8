/** Where the API listens. */

import { type Endpoint, endpoint, readEndpoint } from '../formats/addresses.js';
import { Misread } from '../scope.js';
import type { Format } from '../types.js';

export type ApiEndpoint = { readonly unix: string } | { readonly tcp: Endpoint };

/** Room in sockaddr_un, without the final NUL (unix(7)). */
const longestSocketPath = 107;

export const apiEndpoint: Format<ApiEndpoint> = {
  name: 'api-endpoint',
  label: 'ENDPOINT',
  description: 'unix:/path/of/socket, or an address and port as 127.0.0.1:8080.',
  json: { anyOf: [{ type: 'string', pattern: '^unix:.+$' }, endpoint.json] },
  parse: (text) => {
    if (!text.value.startsWith('unix:')) return { tcp: readEndpoint(text) };
    const path = text.value.slice('unix:'.length);
    if (path.startsWith('/') && Buffer.byteLength(path) <= longestSocketPath && !path.includes('\0'))
      return { unix: path };
    throw new Misread(`"${path}" can't be a socket`, `write an absolute path of at most ${longestSocketPath} bytes`);
  },
};
