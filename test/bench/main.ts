/** `npm run bench [-- NAME …]`: all measurements but the longest, or those named. Exits 1 when a bound was missed. */

import { accountBench } from './account.js';
import { applyBench } from './apply.js';
import { type Bench, headingText, rowText } from './bench.js';
import { crashBench } from './crash.js';
import { elementsBench } from './elements.js';
import { entriesBench } from './entries.js';
import { matchesBench } from './matches.js';
import { oracleBench } from './oracle.js';
import { packetsBench } from './packets.js';
import { pftabledBench } from './pftabled.js';
import { readingBench } from './reading.js';
import { replaceBench } from './replace.js';
import { storeBench } from './store.js';
import { targetsBench } from './targets.js';
import { updatesBench } from './updates.js';

const benches: readonly Bench[] = [
  applyBench,
  entriesBench,
  elementsBench,
  readingBench,
  accountBench,
  pftabledBench,
  oracleBench,
  targetsBench,
  matchesBench,
  storeBench,
  updatesBench,
  replaceBench,
  packetsBench,
  crashBench,
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(
    `bench: no such measurement: ${unknown.join(', ')}; there are ${benches.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

let missed = 0;
for (const bench of benches) {
  if (wanted.length > 0 ? !wanted.includes(bench.name) : bench.onlyByName) continue;
  console.log(headingText(bench));
  for await (const row of bench.run()) {
    console.log(rowText(row));
    if (row.met === false) missed += 1;
  }
}
if (missed > 0) console.log(`\n${missed} bounds were missed`);
process.exit(missed > 0 ? 1 : 0);
