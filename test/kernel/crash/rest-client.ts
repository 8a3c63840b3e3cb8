/** Requests over a UNIX socket, kept alive, many at a time; remembers which were answered. */

import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export class RestClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  constructor(readonly socketPath: string) {}

  /** Rejects when no whole answer came. */
  send(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : JSON.stringify(body);
      const headers: Record<string, string | number> =
        content === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
      const asking = request({ socketPath: this.socketPath, agent: this.#agent, method, path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', reject);
        response.on('aborted', () => reject(new Error('the answer broke off')));
      });
      asking.on('error', reject);
      asking.end(content);
    });
  }

  /** @throws Error unless the answer is 2xx. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send(method, path, body);
    if (answer.status < 200 || answer.status > 299)
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body === '' ? 'null' : answer.body) as T;
  }

  close(): void {
    this.#agent.destroy();
  }
}
