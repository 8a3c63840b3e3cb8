/** The file that a client of a knock keeps: where to knock, as whom, with which key. */

import { PosternError } from '../errors.js';
import { spa2KeyBytes } from '../wire/spa2.js';

export interface ClientFile {
  readonly host: string;
  readonly port: number;
  readonly knock: string;
  readonly client: string;
  readonly key: Buffer;
  /** Is the client told until when the door is open? */
  readonly reply: boolean;
}

/** One line of JSON, which is also what the QR code holds. */
export const clientFileText = ({ key, reply, ...rest }: ClientFile): string =>
  `${JSON.stringify({ postern: 2, ...rest, key: key.toString('base64url'), ...(reply && { reply }) })}\n`;

/** @throws PosternError `invalid` */
export function readClientFile(text: string, path: string): ClientFile {
  try {
    const { postern, host, port, knock, client, key, reply = false } = JSON.parse(text) as Record<string, unknown>;
    const bytes = Buffer.from(String(key), 'base64url');
    const isRight =
      postern === 2 &&
      typeof host === 'string' &&
      typeof knock === 'string' &&
      typeof client === 'string' &&
      typeof reply === 'boolean';
    if (
      isRight &&
      Number.isInteger(port) &&
      Number(port) > 0 &&
      Number(port) < 65_536 &&
      bytes.length === spa2KeyBytes
    ) {
      return { host, port: Number(port), knock, client, key: bytes, reply };
    }
  } catch {
    // Said below.
  }
  throw new PosternError('invalid', `${path} is no client file: make one with 'postern knock enrol'`);
}
