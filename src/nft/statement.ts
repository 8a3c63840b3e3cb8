/** Statements as nft text, one function for each kind that needs more than a line. */

import { PosternError } from '../errors.js';
import { braces, isBitwise, renderExpression, styleOf } from './expression.js';
import type { Expression, Limit, NatTarget, QuotaSpec, Statement, Verdict } from './model.js';
import { count, duration, identifier, logPrefix, quoted, reference, word } from './text.js';

type Of<K extends string> = Extract<Statement, Readonly<Record<K, unknown>>>;
type Body<K extends string> = Of<K> extends Readonly<Record<K, infer B>> ? B : never;

/** One statement of a rule or of a set's element. @throws PosternError for what can't be written. */
export function renderStatement(statement: Statement): string {
  if ('match' in statement) return renderMatch(statement.match);
  if ('counter' in statement) return renderNamed('counter', statement.counter);
  if ('quota' in statement) return renderQuotaStatement(statement.quota);
  if ('limit' in statement) {
    return typeof statement.limit === 'string' ? renderNamed('limit', statement.limit) : renderLimit(statement.limit);
  }
  if ('ct count' in statement) {
    return join('ct count', statement['ct count'].inv && 'over', count(statement['ct count'].val));
  }
  if ('mangle' in statement) return renderMangle(statement.mangle);
  if ('snat' in statement) return renderNat('snat', statement.snat);
  if ('dnat' in statement) return renderNat('dnat', statement.dnat);
  if ('masquerade' in statement) return renderNat('masquerade', statement.masquerade);
  if ('redirect' in statement) return renderNat('redirect', statement.redirect);
  if ('reject' in statement) return renderReject(statement.reject);
  if ('set' in statement) return renderSetUpdate(statement.set);
  if ('map' in statement) return renderMapUpdate(statement.map);
  if ('vmap' in statement) return renderVmap(statement.vmap);
  if ('log' in statement) return renderLog(statement.log);
  if ('fwd' in statement) return renderFwd(statement.fwd);
  if ('dup' in statement) return renderDup(statement.dup);
  if ('notrack' in statement) return 'notrack';
  if ('ct helper' in statement) return `ct helper set "${identifier(statement['ct helper'])}"`;
  if ('ct timeout' in statement) return `ct timeout set "${identifier(statement['ct timeout'])}"`;
  if ('synproxy' in statement) return renderSynproxy(statement.synproxy);
  if ('reset tcp option' in statement) return `reset tcp option ${word(statement['reset tcp option'])}`;
  return renderVerdict(statement);
}

/** `drop`, `jump chain` … */
export function renderVerdict(verdict: Verdict): string {
  if ('jump' in verdict) return `jump ${identifier(verdict.jump.target)}`;
  if ('goto' in verdict) return `goto ${identifier(verdict.goto.target)}`;
  return Object.keys(verdict)[0]!;
}

/** `rate over 10/second burst 5 packets`, as it stands in a rule and in a named limit. */
export function renderRate(limit: Limit): string {
  const unit = limit.unit ?? 'packets';
  const rate = unit === 'packets' ? `${count(limit.rate)}/${limit.per}` : `${count(limit.rate)} ${unit}/${limit.per}`;
  return join('rate', limit.inv && 'over', rate, limit.burst !== undefined && `burst ${count(limit.burst)} ${unit}`);
}

/** `over 500 bytes used 20 bytes`, as it stands in a rule and in a named quota. */
export function renderQuotaSpec(quota: QuotaSpec): string {
  const used = quota.used !== undefined && quota.used > 0 && `used ${count(quota.used)} bytes`;
  return join(quota.inv && 'over', `${count(quota.bytes)} bytes`, used);
}

const join = (...parts: readonly (string | false | undefined)[]): string =>
  parts.filter((part) => part !== false && part !== undefined && part !== '').join(' ');

const renderNamed = (kind: string, name: string | null): string =>
  name === null ? kind : `${kind} name "${identifier(name)}"`;

const renderLimit = (limit: Limit): string => `limit ${renderRate(limit)}`;

/** A plain `tcp flags syn` means "any of", so equality with a bit field has to be said. */
function meansBits(left: Expression): boolean {
  if (typeof left !== 'object') return false;
  if ('payload' in left)
    return 'field' in left.payload && left.payload.protocol === 'tcp' && left.payload.field === 'flags';
  if ('ct' in left) return left.ct.key === 'status';
  return isBitwise(left);
}

function renderMatch({ op, left, right }: Body<'match'>): string {
  const selector = renderExpression(left);
  const style = styleOf(left);
  if (op === 'in') {
    const names = typeof right === 'object' && 'set' in right ? right.set : [right];
    return `${selector} ${names.map((name) => renderExpression(name, style)).join(',')}`;
  }
  const lookup = typeof right === 'string' && right.startsWith('@');
  const operator = op === '==' && (lookup || !meansBits(left)) ? false : op;
  return join(selector, operator, renderExpression(right, style));
}

const renderMangle = ({ key, value }: Body<'mangle'>): string =>
  `${renderExpression(key)} set ${renderExpression(value, styleOf(key))}`;

function renderQuotaStatement(quota: Body<'quota'>): string {
  if (typeof quota === 'string') return renderNamed('quota', quota);
  if ('map' in quota) return `quota name ${renderExpression(quota.map.key)} map ${reference(quota.map.data)}`;
  return `quota ${renderQuotaSpec(quota)}`;
}

function renderNat(kind: 'snat' | 'dnat' | 'masquerade' | 'redirect', to: NatTarget): string {
  const address = to.addr === undefined ? '' : renderNatAddress(to.addr, to.port !== undefined);
  const port = to.port === undefined ? '' : `:${renderExpression(to.port)}`;
  // Without the space nft would read the colon as part of a map.
  const target = address.endsWith('}') && port !== '' ? `${address} ${port}` : address + port;
  // The family word belongs to an address; masquerade and redirect have none.
  const family = to.addr !== undefined && to.family;
  return join(kind, family, to.prefix && 'prefix', target !== '' && `to ${target}`, to.flags?.join(','));
}

function renderNatAddress(addr: Expression, withPort: boolean): string {
  const text = renderExpression(addr);
  const literal = typeof addr === 'string' || (typeof addr === 'object' && 'range' in addr);
  return literal && withPort && text.includes(':') ? text.replace(/[^-]+/g, '[$&]') : text;
}

const renderReject = ({ type, expr }: Body<'reject'>): string =>
  type === 'tcp reset'
    ? 'reject with tcp reset'
    : join('reject', expr !== undefined && `with ${type} type ${word(expr)}`);

function renderSetUpdate({ op, set, elem, timeoutMs, stmt = [] }: Body<'set'>): string {
  const timeout = timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`;
  return `${op} ${reference(set)} { ${join(renderExpression(elem), timeout, ...stmt.map(renderStatement))} }`;
}

function renderMapUpdate({ op, map, elem, data, timeoutMs }: Body<'map'>): string {
  const timeout = timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`;
  return `${op} ${reference(map)} { ${join(renderExpression(elem), timeout)} : ${renderExpression(data)} }`;
}

function renderVmap(vmap: Body<'vmap'>): string {
  const key = renderExpression(vmap.key);
  if ('data' in vmap) return `${key} vmap ${reference(vmap.data)}`;
  const style = styleOf(vmap.key);
  const entries = vmap.entries.map(
    ([value, verdict]) => `${renderExpression(value, style)} : ${renderVerdict(verdict)}`,
  );
  return `${key} vmap ${braces(entries)}`;
}

function renderLog({ prefix, group, snaplen, queueThreshold, level }: Body<'log'>): string {
  return join(
    'log',
    prefix !== undefined && `prefix ${logPrefix(prefix)}`,
    group !== undefined && `group ${count(group)}`,
    snaplen !== undefined && `snaplen ${count(snaplen)}`,
    queueThreshold !== undefined && `queue-threshold ${count(queueThreshold)}`,
    level !== undefined && `level ${level}`,
  );
}

/** A device by its name, or what says which one it is (`iif`). */
const renderDevice = (dev: Expression): string => (typeof dev === 'string' ? quoted(dev) : renderExpression(dev));

function renderFwd({ dev, family, addr }: Body<'fwd'>): string {
  if (addr === undefined) return `fwd to ${renderDevice(dev)}`;
  return join('fwd', family, `to ${renderExpression(addr)} device ${renderDevice(dev)}`);
}

function renderDup({ addr, dev }: Body<'dup'>): string {
  if (addr === undefined) {
    if (dev === undefined) throw new PosternError('internal', 'nft: dup needs an address or a device');
    return `dup to ${renderDevice(dev)}`;
  }
  return join(`dup to ${renderExpression(addr)}`, dev !== undefined && `device ${renderDevice(dev)}`);
}

const renderSynproxy = ({ mss, wscale, flags = [] }: Body<'synproxy'>): string =>
  join(
    'synproxy',
    mss !== undefined && `mss ${count(mss)}`,
    wscale !== undefined && `wscale ${count(wscale)}`,
    ...flags.map(word),
  );
