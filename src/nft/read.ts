/**
 * Reads what `nft -j list ruleset` prints (libnftables-json(5)), with or without `-t`. nft 1.0.6 writes an element in
 * several shapes, counts beyond 2^53 as they are and beyond 2^63 as negative numbers, and leaves out the devices of a
 * base chain and the flag `dynamic`; whoever compares has to know that.
 */

import { PosternError } from '../errors.js';
import type { Element, Expression, NamedObject, SetFlag, TableFamily, Verdict } from './model.js';
import { limitSpec, policySpec } from './object-spec.js';

interface InTable {
  readonly family: TableFamily;
  readonly table: string;
  readonly name: string;
}

export interface ListedChain extends InTable {
  /** `type hook priority` of a base chain. */
  readonly base?: string;
  readonly policy?: 'accept' | 'drop';
  readonly rules: number;
}

export interface ListedSet extends InTable {
  readonly kind: 'set' | 'map';
  readonly key: readonly string[];
  /** A map's value type. */
  readonly data?: string;
  readonly flags: readonly SetFlag[];
  readonly size?: number;
  /** Whole seconds: nft cuts the rest off. */
  readonly timeoutMs?: number;
  /** Absent when listed with `-t` or when empty. */
  readonly elements?: readonly Element[];
}

export interface ListedObject extends InTable {
  readonly kind: NamedObject['kind'];
  readonly packets?: bigint;
  readonly bytes?: bigint;
  readonly usedBytes?: bigint;
  /** What it was defined as, as far as a load can't change it in place; see `objectSpec`. */
  readonly spec: string;
}

export interface Listing {
  readonly tables: readonly { readonly family: TableFamily; readonly name: string }[];
  readonly chains: readonly ListedChain[];
  readonly sets: readonly ListedSet[];
  readonly objects: readonly ListedObject[];
}

type Json = string | number | bigint | boolean | null | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** @throws PosternError `kernel` when the text is no listing of nft. */
export function readListing(text: string): Listing {
  const chains = new Map<string, ListedChain & { rules: number }>();
  const listing = {
    tables: [] as { family: TableFamily; name: string }[],
    sets: [] as ListedSet[],
    objects: [] as ListedObject[],
  };
  for (const [kind, body] of items(text)) {
    if (kind === 'table')
      listing.tables.push({ family: textOf(body, 'family') as TableFamily, name: textOf(body, 'name') });
    else if (kind === 'chain') chains.set(chainKey(body, 'name'), readChain(body));
    else if (kind === 'rule') countRule(chains.get(chainKey(body, 'chain')));
    else if (kind === 'set' || kind === 'map') listing.sets.push(readSet(kind, body));
    else if (isObjectKind(kind)) listing.objects.push(readObject(kind, body));
  }
  return { ...listing, chains: [...chains.values()] };
}

const objectKinds = ['counter', 'quota', 'limit', 'ct helper', 'ct timeout'] as const;
const isObjectKind = (kind: string): kind is NamedObject['kind'] => (objectKinds as readonly string[]).includes(kind);

const chainKey = (body: JsonObject, name: string): string =>
  [textOf(body, 'family'), textOf(body, 'table'), textOf(body, name)].join(' ');

function countRule(chain: { rules: number } | undefined): void {
  if (chain !== undefined) chain.rules += 1;
}

function items(text: string): [string, JsonObject][] {
  const document = parseExact(text);
  const list = isObject(document) ? document.nftables : undefined;
  if (!Array.isArray(list)) throw unreadable('no list "nftables"');
  return list.filter(isObject).flatMap((item) => {
    const [kind, body] = Object.entries(item)[0] ?? [];
    return kind !== undefined && isObject(body) ? [[kind, body] as [string, JsonObject]] : [];
  });
}

/** `JSON.parse` that keeps integers beyond 2^53 exact, as bigint. @throws PosternError `kernel` when it is no JSON. */
export function parseExact(text: string): Json {
  // Mostly there is no such number, and reading each value once more would take longer than all the rest.
  if (!manyDigits.test(text)) return parsed(text);
  // A raw NUL can't stand in JSON, so no string of the text looks like a marked number unless it was meant to.
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"\\u0000${token}"` : token,
  );
  return parsed(marked, (_key, value) =>
    typeof value === 'string' && /^\0-?\d+$/.test(value) ? BigInt(value.slice(1)) : value,
  );
}

/** As many as 2^53 has. */
const manyDigits = /\d{16}/;

function parsed(text: string, revive?: (key: string, value: unknown) => unknown): Json {
  try {
    return JSON.parse(text, revive) as Json;
  } catch (cause) {
    throw unreadable('no JSON', cause);
  }
}

const unreadable = (what: string, cause?: unknown): PosternError =>
  new PosternError(
    'kernel',
    `The listing of nft can't be read (${what}); is another nft than 1.0.6 or later in PATH?`,
    {
      cause,
    },
  );

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function textOf(body: JsonObject, key: string): string {
  const value = body[key];
  if (typeof value !== 'string') throw unreadable(`"${key}" is ${value === undefined ? 'missing' : 'no text'}`);
  return value;
}

const numberOf = (body: JsonObject, key: string): number | undefined => {
  const value = body[key];
  return typeof value === 'number' ? value : undefined;
};

/** A counter of the kernel: 64 bits without a sign, which nft prints with one. */
function unsigned(value: Json | undefined): bigint | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  return BigInt.asUintN(64, BigInt(value));
}

function place(body: JsonObject): InTable {
  return { family: textOf(body, 'family') as TableFamily, table: textOf(body, 'table'), name: textOf(body, 'name') };
}

function readChain(body: JsonObject): ListedChain & { rules: number } {
  const { policy } = body;
  return {
    ...place(body),
    ...(typeof body.hook === 'string' && {
      base: `${textOf(body, 'type')} ${body.hook} ${numberOf(body, 'prio')}`,
    }),
    ...((policy === 'accept' || policy === 'drop') && { policy }),
    rules: 0,
  };
}

function readSet(kind: 'set' | 'map', body: JsonObject): ListedSet {
  const { type, map, flags, elem } = body;
  const seconds = numberOf(body, 'timeout');
  const size = numberOf(body, 'size');
  return {
    ...place(body),
    kind,
    key: Array.isArray(type) ? type.map(String) : [textOf(body, 'type')],
    ...(map !== undefined && { data: Array.isArray(map) ? map.join(' . ') : String(map) }),
    flags: (Array.isArray(flags) ? flags : flags === undefined ? [] : [flags]) as readonly SetFlag[],
    ...(size !== undefined && { size }),
    ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
    ...(Array.isArray(elem) && { elements: elem.map((element) => readElement(element, kind === 'map')) }),
  };
}

/** `v`, `{elem: {val: v, …}}`, or in a map a pair of one of these and what it maps to. */
function readElement(json: Json, inMap: boolean): Element {
  if (inMap) {
    if (!Array.isArray(json) || json.length !== 2) throw unreadable('a map element that is no pair');
    return { ...readElement(json[0] as Json, false), data: expressionOf(json[1] as Json) as Expression | Verdict };
  }
  const elem = isObject(json) ? json.elem : undefined;
  if (!isObject(elem)) return { value: expressionOf(json) };
  const { counter, comment } = elem;
  const timeout = numberOf(elem, 'timeout');
  const expires = numberOf(elem, 'expires');
  return {
    value: expressionOf(elem.val ?? null),
    ...(timeout !== undefined && { timeoutMs: timeout * 1000 }),
    ...(expires !== undefined && { expiresMs: expires * 1000 }),
    ...(typeof comment === 'string' && { comment }),
    ...(isObject(counter) && {
      counter: { packets: unsigned(counter.packets) ?? 0n, bytes: unsigned(counter.bytes) ?? 0n },
    }),
  };
}

/** The model has the names of libnftables-json; only raw bits wider than 53 bits become text. */
function expressionOf(json: Json): Expression {
  if (typeof json === 'bigint') return `0x${BigInt.asUintN(64, json).toString(16)}`;
  if (json === null || typeof json === 'object' || typeof json === 'string') return widen(json) as Expression;
  return json;
}

function widen(json: Json): Json {
  if (typeof json === 'bigint') return `0x${json.toString(16)}`;
  if (Array.isArray(json)) return json.map(widen);
  if (!isObject(json)) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key, value === undefined ? null : widen(value)]),
  );
}

function readObject(kind: NamedObject['kind'], body: JsonObject): ListedObject {
  const packets = unsigned(body.packets);
  const bytes = unsigned(body.bytes);
  const usedBytes = unsigned(body.used);
  return {
    ...place(body),
    kind,
    ...(packets !== undefined && { packets }),
    ...(bytes !== undefined && { bytes }),
    ...(usedBytes !== undefined && { usedBytes }),
    spec: listedSpec(kind, body),
  };
}

function listedSpec(kind: NamedObject['kind'], body: JsonObject): string {
  if (kind === 'limit') {
    return limitSpec({
      rate: numberOf(body, 'rate') ?? 0,
      per: textOf(body, 'per'),
      rateUnit: body.rate_unit?.toString(),
      burst: numberOf(body, 'burst'),
      burstUnit: body.burst_unit?.toString(),
      inv: body.inv === true,
    });
  }
  if (kind === 'ct helper') return `${textOf(body, 'type')} ${body.protocol}`;
  if (kind === 'ct timeout') return policySpec(String(body.protocol), isObject(body.policy) ? body.policy : {});
  return '';
}
