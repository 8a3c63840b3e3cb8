/** Vectors of xt_pknock, and their rules in our words. */

import type { KnockRule } from '../../src/extensions/models/pknock.js';
import type { Vector } from './vectors.js';

export interface RuleVector {
  readonly name: string;
  /** k ports, t time, x strict, a autoclose, o and z secrets, c checkip. */
  readonly options: string;
  readonly knockports: readonly number[];
  readonly time: number;
  readonly autoclose_minutes: number;
  readonly opensecret: string;
  readonly closesecret: string;
}

export interface Step {
  readonly t: number;
  readonly wall: number;
  readonly uptime: number;
  readonly rule?: number;
  readonly src: string;
  readonly proto: number;
  readonly dport: number;
  readonly payload_hex?: string;
  readonly match?: number;
  readonly netlink_cn_msg_hex?: string;
  readonly proc_read?: Readonly<Record<string, readonly string[]>>;
}

export interface KnockVector extends Vector {
  readonly rules: readonly RuleVector[];
  readonly rule_load: readonly { readonly return: number }[];
  readonly steps: readonly Step[];
}

export const has = (rule: RuleVector, option: string) => rule.options.includes(option);

export const ruleOf = (rule: RuleVector): KnockRule => ({
  ports: rule.knockports,
  strict: has(rule, 'x'),
  ...(has(rule, 't') && { timeMs: rule.time * 1000 }),
  ...(has(rule, 'a') && rule.autoclose_minutes > 0 && { autocloseMs: rule.autoclose_minutes * 60_000 }),
  ...(has(rule, 'o') && {
    secrets: { open: Buffer.from(rule.opensecret.slice(0, 31)), close: Buffer.from(rule.closesecret.slice(0, 31)) },
  }),
});
