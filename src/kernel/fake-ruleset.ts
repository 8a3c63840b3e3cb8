/**
 * What nft and the kernel refuse of a ruleset, for the fake: references to what isn't there, sets of the wrong type,
 * chains that jump in a circle, base chains where there is no such hook. Not all that they refuse; what is accepted
 * here may still fail there, what is refused here fails there, too.
 */

import { PosternError } from '../errors.js';
import type {
  BaseChain,
  Chain,
  Element,
  Expression,
  NftSet,
  Origin,
  Rule,
  Ruleset,
  SetType,
  Statement,
  Table,
} from '../nft/model.js';
import { renderRule } from '../nft/render.js';

/** @throws PosternError `kernel`, with the policy line. */
export function assertLoadable(ruleset: Ruleset): void {
  const names = ruleset.tables.map(({ family, name }) => `${family} ${name}`);
  assertUnique('table', names);
  for (const table of ruleset.tables) new TableCheck(table).run();
}

/** Key types by nft name; undefined when only expressions are known. */
export function typeNames(type: SetType): readonly string[] | undefined {
  return 'type' in type ? type.type : (type.of ?? knownTypes(type.typeof));
}

function knownTypes(expressions: readonly Expression[]): readonly string[] | undefined {
  const types = expressions.map(typeOf);
  return types.every((type) => type !== undefined) ? types : undefined;
}

const selectorTypes: Readonly<Record<string, string>> = {
  'ip saddr': 'ipv4_addr',
  'ip daddr': 'ipv4_addr',
  'ip6 saddr': 'ipv6_addr',
  'ip6 daddr': 'ipv6_addr',
  'ether saddr': 'ether_addr',
  'ether daddr': 'ether_addr',
  sport: 'inet_service',
  dport: 'inet_service',
  'meta mark': 'mark',
  'ct mark': 'mark',
  'meta iifname': 'ifname',
  'meta oifname': 'ifname',
  'meta nfproto': 'nf_proto',
  'meta l4proto': 'inet_proto',
};

/** The type of a selector, where it is one that policies use; undefined when it isn't known here. */
function typeOf(expression: Expression): string | undefined {
  if (typeof expression !== 'object') return undefined;
  if ('payload' in expression && 'field' in expression.payload) {
    const { protocol, field } = expression.payload;
    return selectorTypes[`${protocol} ${field}`] ?? selectorTypes[field];
  }
  if ('meta' in expression) return selectorTypes[`meta ${expression.meta.key}`];
  if ('ct' in expression) return selectorTypes[`ct ${expression.ct.key}`];
  return undefined;
}

const partsOf = (expression: Expression): readonly Expression[] =>
  typeof expression === 'object' && 'concat' in expression ? expression.concat : [expression];

/** Chain types and the hooks that they have in inet, ip and ip6. */
const hooks: Readonly<Record<BaseChain['type'], readonly BaseChain['hook'][]>> = {
  filter: ['ingress', 'prerouting', 'input', 'forward', 'output', 'postrouting'],
  nat: ['prerouting', 'input', 'output', 'postrouting'],
  route: ['output'],
};
const deviceHooks: readonly BaseChain['hook'][] = ['ingress', 'egress'];

/** The kernel follows jumps no deeper (NFT_JUMP_STACK_SIZE). */
const MAX_DEPTH = 16;

class TableCheck {
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #sets: ReadonlyMap<string, NftSet>;
  readonly #objects: ReadonlySet<string>;

  constructor(private readonly table: Table) {
    this.#chains = new Map(table.chains.map((chain) => [chain.name, chain]));
    this.#sets = new Map(table.sets.map((set) => [set.name, set]));
    this.#objects = new Set(table.objects.map(({ kind, name }) => `${kind} ${name}`));
  }

  run(): void {
    const { chains, sets, objects } = this.table;
    assertUnique(
      'chain',
      chains.map(({ name }) => name),
    );
    assertUnique(
      'set',
      sets.map(({ name }) => name),
    );
    assertUnique(
      'object',
      objects.map(({ kind, name }) => `${kind} ${name}`),
    );
    for (const set of sets) for (const element of set.elements ?? []) this.#element(set, element);
    for (const chain of chains) this.#chain(chain);
    const known = new Map<string, number>();
    for (const chain of chains) if (chain.base !== undefined) this.#depth(chain, [], known);
  }

  #element(set: NftSet, { data }: Element): void {
    if (typeof data === 'object') {
      if ('jump' in data) this.#target(data.jump.target, set.origin, set.name);
      if ('goto' in data) this.#target(data.goto.target, set.origin, set.name);
    }
    const kind = set.data !== undefined && 'type' in set.data ? set.data.type[0] : undefined;
    if (kind === 'counter' || kind === 'quota' || kind === 'limit')
      this.#object(kind, String(data), set.origin, set.name);
  }

  #chain({ name, base, rules }: Chain): void {
    if (base !== undefined) this.#base(name, base);
    for (const rule of rules) for (const statement of rule.statements) this.#statement(statement, rule);
  }

  #base(name: string, { type, hook, devices = [], priority }: BaseChain): void {
    const { family } = this.table;
    const ofDevice = deviceHooks.includes(hook);
    const exists = family === 'netdev' ? type === 'filter' && ofDevice : hooks[type].includes(hook);
    if (!exists) throw refusal(undefined, `chain ${name}: ${family} has no ${type} chain at ${hook}`);
    if (ofDevice !== devices.length > 0) {
      throw refusal(undefined, `chain ${name}: ${ofDevice ? 'it needs a device' : `${hook} has no devices`}`);
    }
    if (type === 'nat' && priority <= -200)
      throw refusal(undefined, `chain ${name}: nat comes after connection tracking`);
  }

  #statement(statement: Statement, rule: Rule): void {
    const where = (): string => renderRule(rule).text;
    const object = (kind: string, name: string): void => this.#object(kind, name, rule.origin, where());
    if ('jump' in statement) this.#target(statement.jump.target, rule.origin, where());
    else if ('goto' in statement) this.#target(statement.goto.target, rule.origin, where());
    else if ('counter' in statement && statement.counter !== null) object('counter', statement.counter);
    else if ('quota' in statement && typeof statement.quota === 'string') object('quota', statement.quota);
    else if ('limit' in statement && typeof statement.limit === 'string') object('limit', statement.limit);
    else if ('ct helper' in statement) object('ct helper', statement['ct helper']);
    else if ('ct timeout' in statement) object('ct timeout', statement['ct timeout']);
    else if ('set' in statement) this.#update(statement.set.set, statement.set.elem, rule);
    else if ('map' in statement) this.#update(statement.map.map, statement.map.elem, rule);
    else if ('match' in statement) this.#lookup(statement.match.right, statement.match.left, rule);
    else if ('vmap' in statement) this.#verdicts(statement.vmap, rule);
    else if ('mangle' in statement) this.#maps(statement.mangle.value, rule);
    else if ('dnat' in statement) this.#maps(statement.dnat.addr, rule);
    else if ('snat' in statement) this.#maps(statement.snat.addr, rule);
    else if ('fwd' in statement && this.table.family !== 'netdev') throw refusal(rule, 'fwd stands in netdev only');
    else if ('dup' in statement && this.table.family === 'inet') throw refusal(rule, 'dup does not stand in inet');
  }

  #verdicts(vmap: Extract<Statement, { vmap: unknown }>['vmap'], rule: Rule): void {
    if ('data' in vmap) this.#lookup(vmap.data, vmap.key, rule);
    else {
      for (const [, verdict] of vmap.entries) this.#statement(verdict, rule);
    }
  }

  #maps(value: Expression | undefined, rule: Rule): void {
    if (typeof value !== 'object' || !('map' in value)) return;
    if ('data' in value.map) this.#lookup(value.map.data, value.map.key, rule);
  }

  #lookup(reference: Expression, key: Expression, rule: Rule): NftSet | undefined {
    if (typeof reference !== 'string' || !reference.startsWith('@')) return undefined;
    const set = this.#sets.get(reference.slice(1));
    if (set === undefined) throw refusal(rule, `there is no set ${reference.slice(1)}`);
    const parts = partsOf(key);
    const types = typeNames(set.key);
    const differs = types?.some((type, index) => {
      const found = parts[index] === undefined ? undefined : typeOf(parts[index]);
      return found !== undefined && found !== type;
    });
    if (differs || (types !== undefined && types.length !== parts.length)) {
      throw refusal(rule, `set ${set.name} holds ${types?.join(' . ')}`);
    }
    return set;
  }

  #update(reference: string, key: Expression, rule: Rule): void {
    const set = this.#lookup(reference, key, rule);
    // nft implies the flag when set and rule come together, and the next load fails.
    const changeable = set?.flags.includes('dynamic') || set?.flags.includes('timeout');
    if (!changeable) throw refusal(rule, `set ${reference.slice(1)} is not dynamic`);
    if (set?.flags.includes('interval'))
      throw refusal(rule, `set ${set.name} holds intervals, which packets can't add`);
  }

  #target(name: string, origin: Origin | undefined, where: string): void {
    const chain = this.#chains.get(name);
    if (chain === undefined) throw refusal({ origin, where }, `there is no chain ${name}`);
    if (chain.base !== undefined) throw refusal({ origin, where }, `${name} is a base chain`);
  }

  #object(kind: string, name: string, origin: Origin | undefined, where: string): void {
    if (!this.#objects.has(`${kind} ${name}`)) throw refusal({ origin, where }, `there is no ${kind} ${name}`);
  }

  /** How deep the jumps from a chain go, 1 for none; chains that were looked at before are in `known`. */
  #depth(chain: Chain, path: readonly string[], known: Map<string, number>): number {
    const circle = [...path, chain.name].join(' → ');
    if (path.includes(chain.name)) throw refusal(chain.rules[0], `chains jump in a circle: ${circle}`);
    const before = known.get(chain.name);
    if (before !== undefined) return before;
    const next = new Set(chain.rules.flatMap(({ statements }) => statements.flatMap(targets)));
    const depths = [...next].map((name) => this.#depth(this.#chains.get(name)!, [...path, chain.name], known));
    const depth = 1 + Math.max(0, ...depths);
    if (depth > MAX_DEPTH) throw refusal(chain.rules[0], `jumps go deeper than ${MAX_DEPTH} chains`);
    known.set(chain.name, depth);
    return depth;
  }
}

function targets(statement: Statement): string[] {
  if ('jump' in statement) return [statement.jump.target];
  if ('goto' in statement) return [statement.goto.target];
  if ('vmap' in statement && 'entries' in statement.vmap)
    return statement.vmap.entries.flatMap(([, verdict]) => targets(verdict));
  return [];
}

function assertUnique(what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refusal(undefined, `${what} ${twice} is there twice`);
}

function refusal(
  at: Rule | { readonly origin: Origin | undefined; readonly where: string } | undefined,
  reason: string,
): PosternError {
  const { origin } = at ?? {};
  const where = at === undefined ? '' : ` \`${'where' in at ? at.where : renderRule(at).text}\``;
  const line = origin === undefined ? '' : `${origin.file}:${origin.line}:${origin.column}: `;
  return new PosternError('kernel', `${line}the kernel refuses${where}: ${reason}; nothing was changed`);
}
