/** geoip with all the countries of the world: how long they take to load, and what looking into them costs. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileText } from '../../src/cli/policy-file.js';
import { createEngine } from '../../src/engine/create.js';
import { PackedRanges } from '../../src/net/packed-ranges.js';
import { countryFile, countryFiles } from '../../src/services/geoip/source.js';
import { udp } from '../kernel/scratch-world.js';
import { type BenchRow, median, timed } from './bench.js';
import { onRoad, packetUs, type Road, roadEnds } from './road.js';

const countries = 250;
const rangesEach = 2_000;
const rounds = 2;

const codes = Array.from({ length: countries }, (_, index) =>
  String.fromCharCode(65 + Math.floor(index / 26), 65 + (index % 26)),
);

/**
 * Half of IPv4 dealt out to the countries by turns: blocks of 4,096 addresses, each with a hole at its end. The sender's
 * address is in such a hole, in the midst of it all, so that every look goes all the way.
 */
const firstAddress = 0x64000000 - 3_534;

function writeDatabase(folder: string): void {
  const files = codes.map(() => Buffer.alloc(rangesEach * 8));
  for (let range = 0; range < countries * rangesEach; range++) {
    const country = range % countries;
    const at = Math.floor(range / countries) * 8;
    const first = firstAddress + range * 4_096;
    files[country]!.writeUInt32BE(first, at);
    files[country]!.writeUInt32BE(first + 4_000, at + 4);
  }
  for (const [index, code] of codes.entries()) {
    writeFileSync(countryFile(folder, code, 4), files[index]!);
    writeFileSync(countryFile(folder, code, 6), '');
  }
}

const head = (folder: string): string =>
  `version: 1\nhygiene: off\ngeoip: { database: ${folder} }\nchains:\n  prerouting:\n    rules:\n`;

const eachAlone = (folder: string): string =>
  head(folder) + codes.map((code) => `      - { geoip: { from: ${code} }, do: count }\n`).join('');

/** Packets to one port meet no look. */
const allTogether = (folder: string): string => {
  const looks = Array.from(
    { length: repeated },
    (_, index) => `      - { name: g${index}, geoip: { from: [${codes.join(', ')}] }, do: count }\n`,
  );
  return `${head(folder)}      - { udp: ${plainPort}, do: drop }\n${looks.join('')}      - { do: drop }\n`;
};
const [plainPort, measuredPort] = [9, 10] as const;
const repeated = 4;

/** The same sets as one text. */
function nftText(folder: string): string {
  const sets = codes.map((code) => {
    const ranges = new PackedRanges(4);
    for (let index = 0; index < rangesEach; index++) {
      const first = firstAddress + (index * countries + codes.indexOf(code)) * 4_096;
      ranges.add({ family: 4, first: BigInt(first), last: BigInt(first + 4_000) });
    }
    const address = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
    const elements = [...ranges].map(({ first, last }) => `${address(first)}-${address(last)}`).join(', ');
    return `set geo_${code} { type ipv4_addr; flags interval; elements = { ${elements} } }`;
  });
  return `# ${folder}\ntable inet reference {\n${sets.join('\n')}\n}\n`;
}

export async function* geoipRows(): AsyncIterable<BenchRow> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-geoip-'));
  try {
    writeDatabase(folder);
    yield await loadRow(folder);
    yield await lookupRow(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function loadRow(folder: string): Promise<BenchRow> {
  const text = nftText(folder);
  const [ours, reference]: number[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    await onRoad(async (road) => {
      reference!.push(await timed(() => road.firewall.nft(text)));
      await road.firewall.nft('flush ruleset');
      ours!.push(await timed(() => applied(road, eachAlone(folder))));
    });
  }
  const ratio = median(ours!.map((ms, index) => ms / reference![index]!));
  return {
    work: `${countries} countries, ${(countries * rangesEach).toLocaleString('en')} ranges, from their files into the kernel`,
    ours: `${Math.round(median(ours!))} ms`,
    reference: `nft -f: ${Math.round(median(reference!))} ms`,
    ratio,
    must: '≤ 0.7 ×',
    met: ratio <= 0.7,
  };
}

/** A daemon's first apply. */
async function applied({ kernel }: Road, text: string): Promise<void> {
  const engine = createEngine({
    kernel,
    compile: async (source) => compileText(source),
    readPolicy: async () => ({ file: 'bench.yaml', text }),
    countries: countryFiles,
    repairs: false,
  });
  await engine.start();
  await engine.stop();
}

const mostUs = 0.5;
const turns = 10;

async function lookupRow(folder: string): Promise<BenchRow> {
  const us = await onRoad(async (road) => {
    await applied(road, allTogether(folder));
    const best = new Map([plainPort, measuredPort].map((port) => [port, Number.POSITIVE_INFINITY]));
    for (let turn = 0; turn < turns; turn++) {
      for (const [port, least] of best) {
        const packet = udp(roadEnds.client, roadEnds.firewall, port, Buffer.alloc(64));
        best.set(port, Math.min(least, packetUs(road, packet)));
      }
    }
    return (best.get(measuredPort)! - best.get(plainPort)!) / repeated;
  });
  return {
    work: `geoip, a look into ${(countries * rangesEach).toLocaleString('en')} ranges`,
    ours: `${us.toFixed(2)} µs a packet`,
    must: `≤ ${mostUs} µs`,
    met: us <= mostUs,
  };
}
