/** The tables that are ours in a kernel, whatever policy made them. */

import type { Nft, TableName } from '../kernel/nft.js';

/** Every table that the compiler makes has this name. */
const ownName = 'postern';

export async function ownTables(nft: Nft): Promise<TableName[]> {
  const { tables } = await nft.list();
  return tables.filter(({ name }) => name === ownName);
}
