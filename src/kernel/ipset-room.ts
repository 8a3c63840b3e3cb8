/** Whether changes fit into their ipsets: asked before anything is sent, since an ipset command can't be taken back. */

import type { ManifestIpset } from '../compiler/plan.js';
import { PosternError } from '../errors.js';
import type { IpsetHeader } from '../wire/ipset.js';
import type { IpsetCommands } from './ipset-commands.js';
import { elementsOf } from './ipset-target.js';
import type { ElementChange, ElementKey, SetIndex } from './kernel.js';
import type { RefusedChange } from './nf.js';

/** The additions that find their set full, or missing; asked before anything is sent. */
export async function unfit(
  changes: readonly ElementChange[],
  ipsetOf: (set: SetIndex) => ManifestIpset,
  commands: IpsetCommands,
): Promise<RefusedChange[]> {
  const refused: RefusedChange[] = [];
  for (const set of new Set(changes.map((change) => change.set))) {
    const ipset = ipsetOf(set);
    const own = changes.flatMap((change, index) => (change.set === set ? [{ change, index }] : []));
    const header = await commands.header(ipset.name);
    if (header === undefined) {
      const error = new PosternError('not-found', `ipset ${ipset.name}: not in the kernel`);
      refused.push(...own.map(({ index }) => ({ index, error })));
    } else if (ipset.range === undefined) {
      refused.push(...(await overfull({ ipset, header, own, commands })));
    }
  }
  return refused;
}

interface Growth {
  readonly ipset: ManifestIpset;
  readonly header: IpsetHeader;
  /** Changes of this ipset, with their index among all. */
  readonly own: readonly { readonly change: ElementChange; readonly index: number }[];
  readonly commands: IpsetCommands;
}

async function overfull({ ipset, header, own, commands }: Growth): Promise<RefusedChange[]> {
  const { elements, maxElements } = header;
  const flushed = own.findLastIndex(({ change }) => change.op === 'flush');
  const later = own.slice(flushed + 1);
  const adding = later.reduce(
    (sum, { change }) => sum + (change.op === 'add' ? elementsOf(ipset, change).length : 0),
    0,
  );
  let held = flushed >= 0 ? 0 : elements;
  if (held + adding <= maxElements) return [];
  const refused: RefusedChange[] = [];
  for (const { change, index } of later) {
    if (change.op === 'flush') continue;
    const there = flushed < 0 ? await present(ipset, change, commands) : 0;
    const count = elementsOf(ipset, change).length;
    if (change.op === 'delete') held -= there;
    else if (held + count - there <= maxElements) held += count - there;
    else {
      const error = new PosternError(
        'full',
        `ipset ${ipset.name}: full, it holds ${maxElements} elements; raise its size`,
      );
      refused.push({ index, error });
    }
  }
  return refused;
}

async function present(ipset: ManifestIpset, key: ElementKey, commands: IpsetCommands): Promise<number> {
  let count = 0;
  for (const element of elementsOf(ipset, key)) if (await commands.has(ipset.name, element)) count++;
  return count;
}
