/** The contents of ipsets as text that `ipset restore` takes, see ipset(8). Pure. */

import type { ManifestIpset } from '../compiler/plan.js';
import { formatAddress } from '../net/address.js';
import { formatRange } from '../net/prefix.js';
import { formatProtocol } from '../net/protocol.js';
import type { IpsetElement } from '../wire/ipset-element.js';
import { additions } from './ipset-target.js';
import { temporaryName } from './ipsets.js';
import type { Addition } from './kernel.js';

export interface IpsetContents {
  readonly set: ManifestIpset;
  readonly additions: Iterable<Addition>;
}

/** Makes the sets when they aren't there, and gives each its contents in one step, whatever it held. */
export function restoreText(all: Iterable<IpsetContents>): string {
  const lines: string[] = [];
  for (const { set, additions: contents } of all) {
    const { name } = set;
    const other = temporaryName(name);
    lines.push(
      `create ${name} ${shapeWords(set)} -exist`,
      `create ${other} ${shapeWords(set)} -exist`,
      `flush ${other}`,
    );
    for (const addition of contents) {
      for (const element of additions(set, addition)) lines.push(`add ${other} ${elementWords(element)}`);
    }
    lines.push(`swap ${other} ${name}`, `destroy ${other}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function shapeWords({ type, family, size, range, timeout, counters, comment, skbinfo }: ManifestIpset): string {
  const bounds =
    range === undefined ? `family ${family === 4 ? 'inet' : 'inet6'} maxelem ${size}` : `range ${formatRange(range)}`;
  return [
    `${type} ${bounds}`,
    ...(timeout ? ['timeout 0'] : []),
    ...(counters ? ['counters'] : []),
    ...(comment ? ['comment'] : []),
    ...(skbinfo ? ['skbinfo'] : []),
  ].join(' ');
}

function elementWords({ address, prefixLength, protocol, port, ...more }: IpsetElement): string {
  const { timeoutSeconds, comment, nomatch } = more;
  const host = formatAddress(address) + (prefixLength === undefined ? '' : `/${prefixLength}`);
  return [
    port === undefined || protocol === undefined ? host : `${host},${formatProtocol(protocol)}:${port}`,
    ...(timeoutSeconds ? [`timeout ${timeoutSeconds}`] : []),
    ...(nomatch ? ['nomatch'] : []),
    ...(comment === undefined ? [] : [`comment "${comment}"`]),
  ].join(' ');
}
