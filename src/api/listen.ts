/** Opens the API where the policy says. */

import { PosternError } from '../errors.js';
import { formatAddress } from '../net/address.js';
import type { ApiListener } from '../policy/ast.js';
import type { ApiParts } from './api.js';
import { readToken } from './auth.js';
import { createApi } from './server.js';
import { claimSocket, type SocketClaim } from './unix-socket.js';

export interface OpenListener {
  /** `unix:/run/postern/api.sock`, `http://192.0.2.1:8080`. */
  readonly where: string;
  /** Ends the listening; requests under way are answered. */
  close(): Promise<void>;
}

/** @throws PosternError when it can't be opened; nothing is left open then. */
export async function openListener(listener: ApiListener, parts: ApiParts): Promise<OpenListener> {
  if (listener.unix !== undefined) return openSocket(await claimSocket(listener.unix), parts);
  if (listener.tcp !== undefined) return openTcp(listener.tcp, listener.tokenFile, parts);
  throw new PosternError('invalid', 'api: a listener needs a socket path or an address');
}

/** Listens at a path that was claimed; closing it gives the path back. */
export async function openSocket(claim: SocketClaim, parts: ApiParts): Promise<OpenListener> {
  const api = await createApi(parts);
  const close = async () => {
    await api.close();
    claim.release();
  };
  try {
    await claim.listen((path) => api.listen({ path }));
  } catch (error) {
    await close();
    throw error;
  }
  return { where: `unix:${claim.path}`, close };
}

type TcpPlace = NonNullable<ApiListener['tcp']>;

async function openTcp(
  { address, port }: TcpPlace,
  tokenFile: string | undefined,
  parts: ApiParts,
): Promise<OpenListener> {
  const host = formatAddress(address);
  const where = `http://${address.family === 6 ? `[${host}]` : host}:${port}`;
  if (tokenFile === undefined) {
    throw new PosternError('invalid', `api: ${where} needs a token file; whoever reaches it could change the firewall`);
  }
  const api = await createApi(parts, { guard: { token: readToken(tokenFile) } });
  try {
    await api.listen({ host, port });
  } catch (cause) {
    await api.close();
    throw new PosternError('system', `api: can't listen at ${where}: ${(cause as Error).message}`, { cause });
  }
  return { where, close: () => api.close() };
}
