/** `chains:`: rules by where packets pass. */

import type { Chain, InterfaceTerm } from '../ast.js';
import { isBaseChain, newName } from '../formats/names.js';
import type { Entry, Mapping, Node, Text } from '../node.js';
import type { Reader } from '../reader.js';
import type { RuleReader } from '../rules.js';
import { chainDevices, policyVerdict } from './schemas.js';

const chainName = newName('chain');
const chainKeys = ['policy', 'on', 'rules'];
/** The hooks that `filter` stands for. */
const filterHooks = ['input', 'forward', 'output'];

export function readChains(section: Mapping, reader: Reader, rules: RuleReader): Map<string, Chain> {
  const chains = new Map<string, Chain>();
  for (const { key, value } of section.entries) {
    const name = reader.readName(chainName, key);
    if (name !== undefined) chains.set(name, readChain(key, value, reader, rules));
  }
  checkFilter(section, reader);
  return chains;
}

function readChain(key: Text, node: Node, reader: Reader, rules: RuleReader): Chain {
  const name = key.value;
  const kind = isBaseChain(name) ? name : 'user';
  const empty: Chain = { at: key.at, name, kind, rules: [] };
  if (node.kind !== 'map') {
    reader.wrongKind(node, name, 'a map such as { policy: drop, rules: [] }');
    return empty;
  }
  reader.refuseUnknown(node.entries, chainKeys);
  const entry = (word: string) => node.entries.find((one) => one.key.value === word);
  const [policy, on, list] = [entry('policy'), entry('on'), entry('rules')];
  const verdict = policy && reader.read(policyVerdict, policy.value, 'policy');
  const devices = on && reader.read(chainDevices, on.value, 'on');
  checkKeys(key, kind, { policy, on }, reader);
  return {
    ...empty,
    ...(verdict === undefined ? {} : { policy: verdict }),
    ...(devices === undefined ? {} : { on: devices as readonly InterfaceTerm[] }),
    rules: list === undefined ? [] : rules.readAll(list.value, 'rules'),
  };
}

interface ChainKeys {
  readonly policy: Entry | undefined;
  readonly on: Entry | undefined;
}

function checkKeys(chain: Text, kind: Chain['kind'], { policy, on }: ChainKeys, reader: Reader): void {
  if (kind === 'user' && policy !== undefined) {
    const message = `"${chain.value}" is a chain of your own, which has no policy`;
    reader.log.error(policy.key.at, message, 'it returns to the rule behind the jump');
  }
  if (kind === 'ingress' && on === undefined) {
    reader.log.error(chain.at, '"ingress" sees the packets of certain interfaces', 'name them: "on: wan"');
  }
  if (kind !== 'ingress' && on !== undefined) {
    reader.log.error(
      on.key.at,
      `"on" can't stand in "${chain.value}"`,
      'only "ingress" has it; rules have "in" and "out"',
    );
  }
}

/** `filter` and the chains that it stands for would have no order among them. */
function checkFilter(section: Mapping, reader: Reader): void {
  if (!section.entries.some(({ key }) => key.value === 'filter')) return;
  for (const { key } of section.entries) {
    if (!filterHooks.includes(key.value)) continue;
    const message = `"${key.value}" stands beside "filter", which stands for input, forward and output`;
    reader.log.error(key.at, message, 'write one or the other');
  }
}
