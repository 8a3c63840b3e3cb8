/** The keys of a map of a test file. */

import type { DiagnosticLog } from '../../policy/diagnostics.js';
import type { Entry, Mapping } from '../../policy/node.js';
import { didYouMean } from '../../policy/suggest.js';

/** The keys of a map, each at most once; others are reported. */
export function fieldsOf(log: DiagnosticLog, map: Mapping, known: readonly string[]): Map<string, Entry> {
  const fields = new Map<string, Entry>();
  for (const entry of map.entries) {
    const key = entry.key.value;
    if (known.includes(key)) fields.set(key, entry);
    else
      log.error(entry.key.at, `"${key}" is not known here`, didYouMean(key, known) ?? `known are ${known.join(', ')}`);
  }
  return fields;
}
