/** `why` without a daemon: about what was applied last, or another policy. */

import { type EngineState, stateFile } from '../engine/state-file.js';
import { PosternError } from '../errors.js';
import type { Scratch } from '../kernel/scratch.js';
import type { Address } from '../net/address.js';
import type { AddressAnswer } from '../oracle/address.js';
import type { Answer } from '../oracle/answer.js';
import { defaultPolicy, defaultState } from './defaults.js';
import { askAddress } from './live-address.js';
import { type AskedPacket, askWhy } from './live-why.js';
import { compileText, readPolicyFile } from './policy-file.js';

interface Places {
  readonly netns?: string;
  readonly state?: string;
  readonly policy?: string;
}

export async function askWhyDirectly(packet: AskedPacket, places: Places, scratch: Promise<Scratch>): Promise<Answer> {
  return askWhy({ packet, ...(await inQuestion(places)), ...namespaceOf(places), scratch });
}

export async function askAddressDirectly(address: Address, places: Places): Promise<AddressAnswer> {
  const question = await inQuestion(places);
  const { booksOfStore } = await import('./store-books.js');
  const books = question.loaded && (await booksOfStore(address, question.loaded, places));
  return askAddress({ address, ...question, ...(books !== undefined && { books }), ...namespaceOf(places) });
}

const namespaceOf = ({ netns }: Places): { netns?: string } => (netns === undefined ? {} : { netns });

/** What was applied last, unless another policy is named. */
async function inQuestion({ netns, state, policy }: Places) {
  const kept = await stateFile(state ?? defaultState(netns)).read();
  const source = policy === undefined ? kept?.source : readPolicyFile(policy);
  const compiled = compileText(source ?? usualPolicy(), kept?.manifest);
  return { compiled, ...(kept !== undefined && { loaded: loadedOf(kept) }) };
}

const loadedOf = ({ manifest, tables }: EngineState) => ({ manifest, tables });

/** @throws PosternError `not-found` when there is no policy to speak of. */
function usualPolicy() {
  try {
    return readPolicyFile(defaultPolicy);
  } catch (cause) {
    const message = `nothing was applied yet, and there is no ${defaultPolicy}: name a policy with --policy FILE`;
    throw new PosternError('not-found', message, { cause });
  }
}
