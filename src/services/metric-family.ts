/** What services and the API count, in the form in which it is shown to Prometheus. */

/** A family of time series, named as Prometheus asks: base units, counters end in `_total`. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  /** Names of the labels; all samples have them all. */
  readonly labels: readonly string[];
  /** Bounded in number by whoever makes them. A counter's value only grows while the process lives. */
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

type Samples = readonly MetricSample[];

export function counter(name: string, help: string, labels: readonly string[], samples: Samples): MetricFamily {
  return { name, help, type: 'counter', labels, samples };
}

export function gauge(name: string, help: string, labels: readonly string[], samples: Samples): MetricFamily {
  return { name, help, type: 'gauge', labels, samples };
}

/** A counter of one series. */
export function counterOf(name: string, help: string, value: number): MetricFamily {
  return counter(name, help, [], [{ labels: {}, value }]);
}

/** A gauge of one series. */
export function gaugeOf(name: string, help: string, value: number): MetricFamily {
  return gauge(name, help, [], [{ labels: {}, value }]);
}
