/** A daemon as it runs, which takes signed bans; what it needs of memory, and what it has applied. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exchange, type HttpRequest } from '../../src/cli/http.js';
import { DaemonBed, type RunningDaemon } from '../kernel/daemon-bed.js';
import type { Namespace, Scope } from '../kernel/namespace.js';
import { banKey } from './ban-sender.js';

const port = 56_789;
const sender = fileURLToPath(new URL('../kernel/datagram-sender.js', import.meta.url));

export class BanDaemon {
  readonly port = port;

  private constructor(
    private readonly bed: DaemonBed,
    private readonly daemon: RunningDaemon,
  ) {}

  /** Starts it with these tables, each on a line of its own; all of them take signed bans, and rules drop what comes from one or goes to it. */
  static async start(scope: Scope, tables: Readonly<Record<string, string>>): Promise<BanDaemon> {
    const names = Object.keys(tables);
    const all = names.map((name) => `<${name}>`).join(', ');
    const policy = `version: 1
tables:
${names.map((name) => `  ${name}: ${tables[name]}\n`).join('')}
chains:
  input: { policy: accept, rules: [ { from: [${all}], do: drop } ] }
  output: { policy: accept, rules: [ { to: [${all}], do: drop } ] }
pftabled: { listen: 127.0.0.1:${port}, key: { file: bans.key }, tables: [${names.join(', ')}] }
`;
    const bed = await DaemonBed.open(scope, policy);
    writeFileSync(join(bed.folder, 'bans.key'), banKey, { mode: 0o600 });
    const daemon = await bed.start('--socket', bed.socket);
    scope.after(async () => void (await daemon.stop()));
    return new BanDaemon(bed, daemon);
  }

  get space(): Namespace {
    return this.bed.space;
  }

  /** @throws Error unless it answers 200 */
  async ask(request: Omit<HttpRequest, 'headers'> & Partial<Pick<HttpRequest, 'headers'>>): Promise<string> {
    const { status, body } = await exchange(this.bed.socket, { headers: {}, ...request });
    let text = '';
    for await (const piece of body) text += piece;
    if (status !== 200) throw new Error(`the daemon answered ${status}: ${text}`);
    return text;
  }

  /** Datagrams so far by what became of them: `postern_pftabled_datagrams_total`. */
  async datagrams(): Promise<ReadonlyMap<string, number>> {
    const text = await this.ask({ method: 'GET', path: '/metrics' });
    const samples = text.matchAll(/^postern_pftabled_datagrams_total\{result="(\w+)"\} (\d+)/gm);
    return new Map(Array.from(samples, ([, result = '', count]) => [result, Number(count)]));
  }

  /** Sends prepared datagrams, one after the other in these bytes; answers the seconds that it took. */
  async flood(datagrams: Buffer, perSecond: number): Promise<number> {
    const file = join(this.bed.folder, 'datagrams');
    writeFileSync(file, datagrams);
    const { stdout } = await this.space.run(process.execPath, sender, file, String(port), String(perSecond));
    return Number(stdout);
  }

  /** Resident memory now. */
  get mebibytes(): number {
    return this.#status('VmRSS');
  }

  /** The most since `forgetPeak`: man 5 proc, /proc/pid/clear_refs. */
  get peakMebibytes(): number {
    return this.#status('VmHWM');
  }

  forgetPeak(): void {
    writeFileSync(`/proc/${this.daemon.pid}/clear_refs`, '5');
  }

  #status(name: string): number {
    const status = readFileSync(`/proc/${this.daemon.pid}/status`, 'utf8');
    return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
  }
}
