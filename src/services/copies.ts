/** Copies of packets, for services that can't do without. */

import { PosternError } from '../errors.js';
import type { PacketCopies } from '../kernel/packet-copies.js';
import type { ServiceContext } from './service.js';

/**
 * @param wanted by whom: `knocks need`
 * @throws PosternError `unsupported` where there is no packet worker
 */
export function copiesOf({ copies }: ServiceContext, wanted: string): PacketCopies {
  if (copies === undefined) throw new PosternError('unsupported', `${wanted} copies of packets, which are off here`);
  return copies;
}
