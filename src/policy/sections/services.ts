/** `pftabled:` and `api:`. */

import type { ApiListener, ApiSection, PftabledSection } from '../ast.js';
import type { Entry } from '../node.js';
import type { Reader } from '../reader.js';
import { coreSections } from './schemas.js';

export function readPftabled({ key, value }: Entry, reader: Reader): PftabledSection | undefined {
  const read = reader.read(coreSections.pftabled.schema, value, 'pftabled');
  if (read === undefined) return undefined;
  const { listen, key: secret, tables = [], force, timeout } = read;
  if ((tables.length === 0) === (force === undefined)) {
    const message = force === undefined ? '"pftabled" names no table' : '"pftabled" has "tables" and "force"';
    reader.log.error(
      key.at,
      message,
      'write "tables:" with those that clients may change, or "force:" with one for all',
    );
  }
  return {
    at: key.at,
    listen,
    tables,
    ...(secret === undefined ? {} : { keyFile: secret.file }),
    ...(force === undefined ? {} : { force }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
}

export function readApi({ key, value }: Entry, reader: Reader): ApiSection | undefined {
  const read = reader.read(coreSections.api.schema, value, 'api');
  if (read === undefined) return undefined;
  const { listen, token } = read;
  if (token === undefined && listen.some((one) => 'tcp' in one)) {
    const hint = 'add "token: { file: … }", or listen on unix:/run/postern/api.sock';
    reader.log.error(key.at, '"api" listens on the network without a token', hint);
  }
  const withToken = (one: ApiListener) =>
    one.tcp === undefined || token === undefined ? one : { ...one, tokenFile: token.file };
  return { at: key.at, listen: listen.map(withToken) };
}
