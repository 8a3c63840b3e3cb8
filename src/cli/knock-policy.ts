/** Knocks as a policy on this machine has them. */

import { PosternError } from '../errors.js';
import type { KnockSpec } from '../extensions/knock-spec.js';

/** The policy's reader is loaded where it is used: most ways to knock need none. @throws PosternError `system`, `policy`, `not-found` */
export async function knockOfPolicy(policy: string, name: string): Promise<KnockSpec> {
  const { compileText, readPolicyFile } = await import('./policy-file.js');
  const entry = compileText(readPolicyFile(policy), undefined).policy.sections.get('knocks')?.get(name);
  if (entry === undefined) throw new PosternError('not-found', `${policy} has no knock '${name}'`);
  return entry.spec as KnockSpec;
}
