/** Where generated things come from. */

import type { Origin } from '../../nft/model.js';
import type { Position } from '../../policy/ast.js';

export const originOf = ({ file, line, column }: Position): Origin => ({ file, line, column });

/** `demo.yaml:12`, short enough for an nft comment. */
export function shortOrigin({ file, line }: Position): string {
  const name = file.slice(file.lastIndexOf('/') + 1).replace(/[^\x20-\x7e]|["\\]/g, '_');
  return `${name.slice(-100)}:${line}`;
}
