/** What pknock's rules and the daemon know each other by. */

/** The extension, in roles of sets. */
export const knockName = 'pknock';
/** The owner of the NFLOG group to which copies go, with the prefix `knock:NAME` (a sequence was completed) `spa:NAME` or `spa2:NAME` (a datagram came). */
export const knockGroup = 'knock';

/** The purpose of the set of sources that have signed before: a flood from others doesn't keep them out. */
export const knockKnown = 'known';

/** Which sources a set of those who may come in holds. */
export interface GrantKind {
  /** The key is source, protocol and port: the source may come in there alone. */
  readonly ports: boolean;
  /** The source stands for all that have so many first bits in common with it; absent: a host. */
  readonly length?: number;
}

/** The purpose of such a set. */
export const grantPurpose = ({ ports, length }: GrantKind): string => `granted${ports ? '_ports' : ''}${length ?? ''}`;

export function grantKindOf(purpose: string): GrantKind | undefined {
  const [whole, ports, length] = /^granted(_ports)?([0-9]+)?$/.exec(purpose) ?? [];
  if (whole === undefined) return undefined;
  return { ports: ports !== undefined, ...(length !== undefined && { length: Number(length) }) };
}
