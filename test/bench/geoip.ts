/** geoip with all the countries of the world: how long they take to load, and what looking into them costs. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileText } from '../../src/cli/policy-file.js';
import type { Plan } from '../../src/compiler/plan.js';
import { createEngine } from '../../src/engine/create.js';
import { type AddressRange, type Family, parseAddress } from '../../src/net/address.js';
import { PackedRanges } from '../../src/net/packed-ranges.js';
import { countryFile, countryFiles } from '../../src/services/geoip/source.js';
import type { Packet } from '../../src/wire/packet.js';
import { udp } from '../kernel/scratch-world.js';
import { type BenchRow, median, timed } from './bench.js';
import { Injector } from './injector.js';
import { onRoad, packetUs, type Road, roadEnds } from './road.js';

const countries = 250;
const rangesEach = 2_000;
const rounds = 2;

const codes = Array.from({ length: countries }, (_, index) =>
  String.fromCharCode(65 + Math.floor(index / 26), 65 + (index % 26)),
);

/**
 * Half of IPv4 dealt out to the countries by turns: blocks of 4,096 addresses, each with a hole at its end. Of IPv6 each
 * second address of as many.
 */
const firstAddress = 0x64000000 - 3_534;
const blockAddresses = 4_096;
const lastInBlock = 4_000;
const [sourceInHole, sourceInBlock] = ['198.18.2.2', '198.18.0.2'] as const;
const firstAddress6 = parseAddress('2001:db8::').value;
/** In the midst; 65,536 addresses from there on. */
const source6 = '2001:db8::7:0';

function writeDatabase(folder: string, family: Family): void {
  for (const [country, code] of codes.entries()) {
    const ranges = new PackedRanges(family);
    for (let range = 0; range < rangesEach; range++) ranges.add(rangeOf(range * countries + country, family));
    for (const each of [4, 6] as const)
      writeFileSync(countryFile(folder, code, each), each === family ? ranges.records() : '');
  }
}

function rangeOf(block: number, family: Family): AddressRange {
  if (family === 6) {
    const address = firstAddress6 + BigInt(2 * block);
    return { family, first: address, last: address };
  }
  const first = firstAddress + block * blockAddresses;
  return { family, first: BigInt(first), last: BigInt(first + lastInBlock) };
}

const head = (folder: string): string =>
  `version: 1\nhygiene: off\ngeoip: { database: ${folder} }\nchains:\n  prerouting:\n    rules:\n`;

const eachAlone = (folder: string): string =>
  head(folder) + codes.map((code) => `      - { geoip: { from: ${code} }, do: count }\n`).join('');

/** Packets to one port meet no look. */
const allTogether = (folder: string, times: number): string => {
  const looks = Array.from(
    { length: times },
    (_, index) => `      - { name: g${index}, geoip: { from: [${codes.join(', ')}] }, do: count }\n`,
  );
  return `${head(folder)}      - { udp: ${plainPort}, do: drop }\n${looks.join('')}      - { do: drop }\n`;
};
const [plainPort, measuredPort] = [9, 10] as const;
const repeated = 4;

/** The same sets as one text. */
function nftText(folder: string): string {
  const sets = codes.map((code, country) => {
    const ranges = Array.from({ length: rangesEach }, (_, range) => rangeOf(range * countries + country, 4));
    const address = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
    const elements = ranges.map(({ first, last }) => `${address(first)}-${address(last)}`).join(', ');
    return `set geo_${code} { type ipv4_addr; flags interval; elements = { ${elements} } }`;
  });
  return `# ${folder}\ntable inet reference {\n${sets.join('\n')}\n}\n`;
}

export async function* geoipRows(): AsyncIterable<BenchRow> {
  const folders = [4, 6].map(() => mkdtempSync(join(tmpdir(), 'postern-geoip-'))) as [string, string];
  try {
    writeDatabase(folders[0], 4);
    writeDatabase(folders[1], 6);
    yield await loadRow(folders[0]);
    yield* lookupRows(...folders);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true });
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
async function applied({ kernel }: Road, text: string): Promise<Plan> {
  const engine = createEngine({
    kernel,
    compile: async (source) => compileText(source),
    readPolicy: async () => ({ file: 'bench.yaml', text }),
    countries: countryFiles,
    repairs: false,
  });
  await engine.start();
  const { plan } = engine.policy.current!;
  await engine.stop();
  return plan;
}

const turns = 10;
const mostUs = 0.5;

/** What a rule that looks costs a packet. What meets no look goes by turns with it, so that the machine's moods meet both. */
async function lookUs(road: Road, folder: string, source: string): Promise<number> {
  await applied(road, allTogether(folder, repeated));
  const best = new Map([plainPort, measuredPort].map((port) => [port, Number.POSITIVE_INFINITY]));
  for (let turn = 0; turn < turns; turn++) {
    for (const [port, least] of best) best.set(port, Math.min(least, packetUs(road, datagram(source, port))));
  }
  return (best.get(measuredPort)! - best.get(plainPort)!) / repeated;
}

const datagram = (source: string, port: number): Packet =>
  udp(source, source.includes(':') ? roadEnds.firewall6 : roadEnds.firewall, port, Buffer.alloc(64));

/** The same for sources of which each is met for the first time, or nearly so. */
async function firstLookUs(road: Road, folder: string): Promise<number> {
  const { manifest } = await applied(road, allTogether(folder, 1));
  const known = manifest.sets.flatMap(({ role }, set) =>
    role.kind === 'countries' && role.known !== undefined ? [{ op: 'flush', set } as const] : [],
  );
  const best = [plainPort, measuredPort].map((port) => {
    const injector = new Injector(road.firewall.name, 'wan', datagram(source6, port), { addresses: 65_536, ports: 1 });
    return { injector, us: Number.POSITIVE_INFINITY };
  });
  for (let turn = 0; turn < turns; turn++) {
    await road.kernel.change(known);
    for (const one of best) one.us = Math.min(one.us, one.injector.run(8_192) / 1000);
  }
  for (const { injector } of best) injector.close();
  return best[1]!.us - best[0]!.us;
}

async function* lookupRows(folder4: string, folder6: string): AsyncIterable<BenchRow> {
  const ranges = `geoip in ${(countries * rangesEach).toLocaleString('en')} ranges`;
  const flows = [
    ['one flow, of a source in one', folder4, sourceInBlock],
    ['one flow, of a source in none', folder4, sourceInHole],
    ['one flow of IPv6', folder6, source6],
  ] as const;
  for (const [whose, folder, source] of flows) {
    const us = await onRoad((road) => lookUs(road, folder, source));
    const bound = { must: `≤ ${mostUs} µs`, met: us <= mostUs };
    yield { work: `${ranges}, ${whose}`, ours: `${us.toFixed(2)} µs a packet`, ...bound };
  }
  const us = await onRoad((road) => firstLookUs(road, folder6));
  yield { work: `${ranges}, strangers of IPv6`, ours: `${us.toFixed(2)} µs a packet` };
}
