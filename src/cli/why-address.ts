/** `postern why ADDRESS`: what concerns an address. The daemon knows who set an entry; the kernel, what is there. */

import { openKernel } from '../kernel/open.js';
import { formatAddress, parseAddress } from '../net/address.js';
import {
  type AddressAnswer,
  addressText,
  rememberedOf,
  rulesAbout,
  type TableConcern,
  tablesOf,
} from '../oracle/address.js';
import type { Daemon } from './client.js';
import { runningDaemon } from './running-daemon.js';
import type { InQuestion, WhyCall } from './why.js';

interface TestAnswer {
  readonly results: readonly {
    readonly inTable: boolean;
    readonly entry?: {
      readonly address: string;
      readonly expiresAt?: string;
      readonly comment?: string;
      readonly source: { readonly kind: string; readonly id: string };
    };
  }[];
}

export async function whyAddress(call: WhyCall, text: string, { compiled, loaded }: InQuestion): Promise<number> {
  const { values, io } = call;
  const address = parseAddress(text);
  const daemon = await runningDaemon(call);
  const kernel = await openKernel(values.netns === undefined ? {} : { netns: values.netns });
  try {
    const { plan, policy } = compiled;
    if (loaded !== undefined) await kernel.adopt(loaded);
    const names = plan.tables.map(({ name }) => name);
    const known = daemon === undefined ? undefined : await askTables(daemon, names, formatAddress(address));
    const tables = known ?? (loaded === undefined ? [] : await tablesOf(kernel, loaded, address, Date.now()));
    const answer: AddressAnswer = {
      address: formatAddress(address),
      tables,
      remembered: loaded === undefined ? [] : await rememberedOf(kernel, loaded, address),
      rules: rulesAbout(policy, plan, address, new Set(tables.map(({ table }) => table))),
    };
    await io.out(values.json === true ? `${JSON.stringify(answer)}\n` : addressText(answer));
    return 0;
  } finally {
    await kernel.close();
  }
}

async function askTables(daemon: Daemon, names: readonly string[], address: string): Promise<TableConcern[]> {
  const found: TableConcern[] = [];
  for (const table of names) {
    const path = `/v1/tables/${encodeURIComponent(table)}/test`;
    const [result] = (await daemon.ask<TestAnswer>('POST', path, { address })).results;
    const entry = result?.entry;
    if (result?.inTable !== true || entry === undefined) continue;
    found.push({
      table,
      entry: entry.address,
      source: `${entry.source.kind} ${entry.source.id}`,
      ...(entry.expiresAt !== undefined && { until: entry.expiresAt }),
      ...(entry.comment !== undefined && { comment: entry.comment }),
    });
  }
  return found;
}
