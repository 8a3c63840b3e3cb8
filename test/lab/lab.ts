/** The lab as a scenario sees it: hosts that run commands. */

import { execa } from 'execa';
import { interruption, run, until } from './docker.js';
import { project, type Session } from './session.js';

export const hosts = {
  firewall: { outside: '198.51.100.1', outside6: '2001:db8:51::1', lan: '198.18.0.1' },
  web: { v4: '203.0.113.80', v6: '2001:db8:113::80' },
  client1: { v4: '198.18.0.11', v6: '2001:db8:18::11' },
  client2: { v4: '198.18.0.12', v6: '2001:db8:18::12' },
  remote: { v4: '198.51.100.10', v6: '2001:db8:51::10' },
  attacker: { v4: '198.51.100.66', v6: '2001:db8:51::66' },
  prometheus: { v4: '198.18.0.30' },
} as const;

export type HostName = keyof typeof hosts;

export interface Attempt {
  readonly ok: boolean;
  /** What it said, to standard output and then to standard error. */
  readonly output: string;
}

const longestCommandMs = 180_000;
const longestStartMs = 60_000;

export class Lab {
  readonly #containers = new Map<HostName, Promise<string>>();

  constructor(readonly session: Session) {}

  /** The container of a host, running or not. */
  container(host: HostName): Promise<string> {
    let found = this.#containers.get(host);
    if (found === undefined) {
      found = this.#find(host);
      this.#containers.set(host, found);
    }
    return found;
  }

  /** Runs a command on a host. It may fail. */
  async tries(host: HostName, ...command: readonly string[]): Promise<Attempt> {
    const { exitCode, all, failed, isCanceled } = await execa(
      'docker',
      ['exec', await this.container(host), ...command],
      {
        env: this.session.env,
        timeout: longestCommandMs,
        detached: true,
        stdin: 'ignore',
        reject: false,
        all: true,
        cancelSignal: interruption.signal,
      },
    );
    if (isCanceled || (failed && exitCode === undefined)) throw new Error(`${host}: ${command.join(' ')}: ${all}`);
    return { ok: exitCode === 0, output: all };
  }

  /** Runs a command on a host and answers its output. @throws Error with what it said, when it fails. */
  async on(host: HostName, ...command: readonly string[]): Promise<string> {
    const { ok, output } = await this.tries(host, ...command);
    if (!ok) throw new Error(`${host}: ${command.join(' ')}:\n${output}`);
    return output;
  }

  /** A command of postern on the firewall. */
  postern(...args: readonly string[]): Promise<string> {
    return this.on('firewall', 'postern', ...args);
  }

  /** What the REST API answers the operator, who sits at client1. @throws Error with the answer when it refuses. */
  async rest(method: string, path: string, body?: object): Promise<string> {
    const curl = 'curl -sS --fail-with-body -H "Authorization: Bearer $(cat /keys/api.token)" "$@"';
    const json = body === undefined ? [] : ['--json', JSON.stringify(body)];
    const url = `http://${hosts.firewall.lan}:8080${path}`;
    return this.on('client1', 'sh', '-c', curl, 'curl', '-X', method, ...json, url);
  }

  /** The value of a metric of the firewall at this moment; undefined when there is no such series. */
  async metric(series: string): Promise<number | undefined> {
    const line = (await this.rest('GET', '/metrics')).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  /** Values that Prometheus has last scraped, by the label of this name. */
  async prometheus(query: string, label: string): Promise<Map<string, number>> {
    const url = `http://${hosts.prometheus.v4}:9090/api/v1/query`;
    const text = await this.on('client1', 'curl', '-sSG', '--fail', url, '--data-urlencode', `query=${query}`);
    const { data } = JSON.parse(text) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return new Map(data.result.map(({ metric, value }) => [metric[label] ?? '', Number(value[1])]));
  }

  /** Whether a TCP port takes connections. */
  async opens(host: HostName, address: string, port: number): Promise<'open' | 'shut'> {
    const { ok } = await this.tries(host, 'nc', '-z', '-w', '2', address, String(port));
    return ok ? 'open' : 'shut';
  }

  /** The firewall, the web server and Prometheus are all at work. */
  async ready(): Promise<void> {
    await until(
      'the firewall is ready',
      async () => (await this.tries('firewall', 'postern', 'status')).ok,
      longestStartMs,
    );
    await until(
      'the web server answers',
      async () => (await this.opens('client1', hosts.web.v4, 80)) === 'open',
      longestStartMs,
    );
    await until(
      'Prometheus has scraped the firewall',
      async () => {
        const up = await this.prometheus('up{job="postern"}', 'job').catch(() => new Map());
        return up.get('postern') === 1;
      },
      longestStartMs,
    );
  }

  /** As docker does it to a container: `kill --signal KILL`, `start`. */
  async docker(command: string, ...args: readonly string[]): Promise<string> {
    return run('docker', [command, ...args], { env: this.session.env });
  }

  async #find(host: HostName): Promise<string> {
    const label = (name: string, value: string) => ['--filter', `label=com.docker.compose.${name}=${value}`];
    const ids = await this.docker('ps', '--all', '--quiet', ...label('project', project), ...label('service', host));
    if (ids === '' || ids.includes('\n')) throw new Error(`the lab has no container ${host}`);
    return ids;
  }
}
