/** What the engine and the store count, as families of time series in base units. */

import type { AccountSeries } from '../engine/accounts.js';
import type { ConditionState } from '../engine/conditions.js';
import type { EngineMetrics } from '../engine/engine.js';
import type { QuotaState } from '../engine/quotas.js';
import type { TableSummary } from '../engine/tables.js';
import { counter, counterOf, gauge, gaugeOf, type MetricFamily } from '../services/metric-family.js';
import type { StoreStatus } from '../store/store.js';

type Samples = MetricFamily['samples'];

export function engineFamilies(metrics: EngineMetrics, tables: readonly TableSummary[]): MetricFamily[] {
  const { fills, changes, expired, full, overflows, drift, missingDevices, policy } = metrics;
  const setLabels = ({ table, tier, family }: (typeof fills)[number]) => ({ table, tier, family: `ipv${family}` });
  const byTable = (counts: typeof expired): Samples =>
    counts.map(({ table, count }) => ({ labels: { table }, value: count }));
  return [
    gauge(
      'postern_table_entries',
      'Entries of a table.',
      ['table', 'kind'],
      tables.flatMap(({ name, hosts, prefixes }) => [
        { labels: { table: name, kind: 'hosts' }, value: hosts },
        { labels: { table: name, kind: 'prefixes' }, value: prefixes },
      ]),
    ),
    gauge(
      'postern_table_set_elements',
      'Elements in a kernel set of a table.',
      ['table', 'tier', 'family'],
      fills.map((fill) => ({ labels: setLabels(fill), value: fill.elements })),
    ),
    gauge(
      'postern_table_set_size',
      'Elements that a kernel set of a table can hold.',
      ['table', 'tier', 'family'],
      fills.map((fill) => ({ labels: setLabels(fill), value: fill.size })),
    ),
    counter(
      'postern_table_changes_total',
      'Entries added, changed and deleted.',
      ['table', 'source', 'op'],
      changes.map(({ table, source, op, count }) => ({ labels: { table, source, op }, value: count })),
    ),
    counter('postern_table_expired_total', 'Entries whose time ran out.', ['table'], byTable(expired)),
    counter('postern_table_full_total', 'Requests that found the table full.', ['table'], byTable(full)),
    counter(
      'postern_table_overflow_packets_total',
      'Packets whose address a rule could not add, because the table was full.',
      ['table', 'family'],
      overflows.map(({ table, family, packets }) => ({
        labels: { table, family: `ipv${family}` },
        value: Number(packets),
      })),
    ),
    counterOf('postern_drift_found_total', 'Changes by others to what is ours.', drift.found),
    counterOf('postern_drift_repaired_total', 'Such changes that were repaired.', drift.repaired),
    counterOf('postern_drift_failed_total', 'Such changes that could not be repaired.', drift.failed),
    counterOf(
      'postern_drift_repair_seconds_total',
      'Time from the first sign of a change to its repair.',
      drift.repairMs / 1000,
    ),
    gauge(
      'postern_ingress_device_missing',
      'Devices that traps at ingress are for, and that are not there.',
      ['device'],
      missingDevices.map((device) => ({ labels: { device }, value: 1 })),
    ),
    counterOf('postern_policy_applied_total', 'Policies applied.', policy.applied),
    counterOf('postern_policy_failed_total', 'Policies that could not be applied.', policy.failed),
    counterOf('postern_policy_rolled_back_total', 'Policies that were not confirmed.', policy.rolledBack),
    ...(policy.appliedAt === undefined
      ? []
      : [
          gaugeOf(
            'postern_policy_applied_timestamp_seconds',
            'When the policy in force was applied.',
            policy.appliedAt / 1000,
          ),
        ]),
  ];
}

export function accountFamilies(series: readonly AccountSeries[]): MetricFamily[] {
  const labels = ['account', 'ip', 'direction'];
  const samples = (count: (one: AccountSeries) => bigint): Samples =>
    series.map((one) => ({
      labels: { account: one.account, ip: one.ip, direction: one.direction },
      value: Number(count(one)),
    }));
  return [
    counter(
      'postern_account_packets_total',
      'Packets by account, address and direction.',
      labels,
      samples(({ packets }) => packets),
    ),
    counter(
      'postern_account_bytes_total',
      'Bytes (IP length) by account, address and direction.',
      labels,
      samples(({ bytes }) => bytes),
    ),
  ];
}

export function conditionFamilies(conditions: readonly ConditionState[]): MetricFamily[] {
  const samples = conditions.map(({ name, on }) => ({ labels: { condition: name }, value: on ? 1 : 0 }));
  return [gauge('postern_condition', '1 while the condition is on.', ['condition'], samples)];
}

export function quotaFamilies(quotas: readonly QuotaState[]): MetricFamily[] {
  const samples = (count: (quota: QuotaState) => bigint): Samples =>
    quotas.map((quota) => ({ labels: { quota: quota.name, unit: quota.unit }, value: Number(count(quota)) }));
  const labels = ['quota', 'unit'];
  return [
    gauge(
      'postern_quota_value',
      'What a quota holds.',
      labels,
      samples(({ value }) => value),
    ),
    gauge(
      'postern_quota_initial',
      'What a quota holds after a reset.',
      labels,
      samples(({ amount }) => amount),
    ),
  ];
}

export function storeFamilies(status: StoreStatus): MetricFamily[] {
  return [
    gaugeOf('postern_store_durable', '1 while changes reach the disk.', status.mode === 'durable' ? 1 : 0),
    gaugeOf('postern_store_entries', 'Entries in the store.', status.entries),
    gaugeOf('postern_store_journal_bytes', 'Size of the journal.', status.journalBytes),
    gaugeOf('postern_store_snapshot_bytes', 'Size of the snapshot.', status.snapshotBytes),
    counterOf('postern_store_syncs_total', 'Times that the journal was synced to the disk.', status.syncs),
    gaugeOf('postern_store_slowest_sync_seconds', 'The slowest recent sync.', status.slowestSyncMs / 1000),
  ];
}
