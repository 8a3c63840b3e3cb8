/** The registry of metrics: families of the engine and the services, the API's own, and those of the process. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { gauge, type MetricFamily } from '../services/metric-family.js';
import type { ApiParts } from './api.js';
import { accountFamilies, conditionFamilies, engineFamilies, quotaFamilies, storeFamilies } from './families.js';

export class Metrics {
  /** Our own: what a library of ours registers elsewhere doesn't leak in. */
  readonly #registry = new Registry();
  readonly #answered: Counter<'method' | 'route' | 'status'>;
  readonly #parts: ApiParts;
  #reading: Promise<string> | undefined;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    collectDefaultMetrics({ register: this.#registry, prefix: 'postern_' });
    this.#answered = new Counter({
      name: 'postern_api_requests_total',
      help: 'Requests answered by the API.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.#registry],
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** @param route the route's pattern, so that the number of series is bounded. */
  answered(method: string, route: string, status: number): void {
    this.#answered.inc({ method, route, status: String(status) });
  }

  /** Readers at the same time share one reading: it costs a dump of every account. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  close(): void {
    this.#registry.clear();
  }

  async #read(): Promise<string> {
    const { engine, services, store, version } = this.#parts;
    const families = [
      gauge('postern_build_info', 'Version of Postern.', ['version'], [{ labels: { version }, value: 1 }]),
      ...engineFamilies(await engine.metrics(), await engine.tables.list()),
      ...accountFamilies(await engine.accounts.series()),
      ...conditionFamilies(await engine.conditions.list()),
      ...quotaFamilies(await engine.quotas.list()),
      ...(store === undefined ? [] : storeFamilies(store())),
      ...services().flatMap(({ metrics }) => metrics),
    ];
    for (const family of families) this.#show(family);
    return this.#registry.metrics();
  }

  /** A family is registered anew for each reading: series that are gone must not stay at their last value. */
  #show({ name, help, type, labels, samples }: MetricFamily): void {
    this.#registry.removeSingleMetric(name);
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (type === 'gauge') {
      const shown = new Gauge(options);
      for (const sample of samples) shown.set(sample.labels, sample.value);
    } else {
      const counter = new Counter(options);
      for (const sample of samples) counter.inc(sample.labels, sample.value);
    }
  }
}
