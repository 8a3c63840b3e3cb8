/** What this kernel and this nft can do, found out by trying, and what each lack means. */

import { access, constants } from 'node:fs/promises';
import { release } from 'node:os';
import { asPosternError, PosternError } from '../errors.js';
import type { Line } from '../nft/render.js';
import { type FeatureId, type RulesetFeature, rulesetFeatures } from './features.js';
import { IpsetCommands } from './ipset-commands.js';
import type { Nft } from './nft.js';
import { type NetlinkFeatures, probeNetlink } from './probe-netlink.js';
import { netfilterExchange } from './socket-exchange.js';

export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly present: boolean;
  /** What a user loses; of a lack only. */
  readonly lack?: string;
  /** Since which versions there is it. */
  readonly since: string;
  /** What nft or the kernel said. */
  readonly reason?: string;
}

export interface Probe {
  readonly kernelRelease: string;
  readonly nftVersion: string;
  readonly netlink: NetlinkFeatures;
  /** Features of rulesets that are there. */
  readonly features: ReadonlySet<FeatureId>;
  /** Everything that was tried, in an order for people. */
  readonly findings: readonly Finding[];
}

export interface ProbeOptions {
  readonly nft: Nft;
  readonly namespace?: string;
  /** When the caller has found it out already. */
  readonly netlink?: NetlinkFeatures;
}

/**
 * Tries everything; nothing is changed.
 * @throws PosternError `system` (nft is missing), `forbidden` (not root), `timeout`.
 */
export async function probe(options: ProbeOptions): Promise<Probe> {
  const { nft, namespace } = options;
  const nftVersion = await nft.version();
  const [rulesets, netlink, ipsets, sysrq] = await Promise.all([
    probeRulesets(nft),
    options.netlink ?? probeNetlink(namespace),
    ipsetFinding(namespace),
    sysrqFinding(),
  ]);
  return {
    kernelRelease: release(),
    nftVersion,
    netlink,
    features: new Set(rulesetFeatures.filter((_, index) => rulesets[index]?.present).map(({ id }) => id)),
    findings: [...rulesets, ...netlinkFindings(netlink), ipsets, sysrq],
  };
}

/**
 * Refuses what Postern can't run on.
 * @throws PosternError `unsupported`, with all that is missing.
 */
export function assertUsable({
  features,
  kernelRelease,
  nftVersion,
}: Pick<Probe, 'features' | 'kernelRelease' | 'nftVersion'>): void {
  const missing = rulesetFeatures.filter(({ id, required }) => required && !features.has(id));
  if (missing.length === 0) return;
  const list = missing.map(({ title, since }) => `${title} (${since})`).join('; ');
  throw new PosternError(
    'unsupported',
    `Linux ${kernelRelease} with nft ${nftVersion} lacks what Postern needs: ${list}; upgrade it, or load the kernel modules nf_tables and nft_*`,
  );
}

/**
 * Tries only that without which Postern can't run.
 * @throws PosternError as `probe` and `assertUsable`.
 */
export async function assertRequired(nft: Nft): Promise<void> {
  const required = rulesetFeatures.filter((feature) => feature.required);
  const findings = await probeRulesets(nft, required);
  const missing = findings.filter(({ present }) => !present).map(({ id }) => id);
  if (missing.length === 0) return;
  const features = new Set(required.map(({ id }) => id).filter((id) => !missing.includes(id)));
  assertUsable({ features, kernelRelease: release(), nftVersion: await nft.version() });
}

async function probeRulesets(nft: Nft, features: readonly RulesetFeature[] = rulesetFeatures): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { id, title, lack, since, text } of features) {
    const reason = await refusalOf(nft, text);
    findings.push({
      id,
      title,
      since,
      present: reason === undefined,
      ...(reason === undefined ? {} : { lack, reason }),
    });
  }
  return findings;
}

async function refusalOf(nft: Nft, text: readonly string[]): Promise<string | undefined> {
  try {
    await nft.check(text.map((line): Line => ({ text: line })));
    return undefined;
  } catch (error) {
    const { code, message, details } = asPosternError(error);
    // Old versions of nft crash on what they don't know.
    const crashed = typeof details === 'object' && details !== null && 'signal' in details;
    // Anything else says nothing about the feature.
    if (!crashed && (code === 'system' || code === 'forbidden' || code === 'timeout')) throw error;
    return message;
  }
}

function netlinkFindings(netlink: NetlinkFeatures): Finding[] {
  const rows: readonly (readonly [keyof NetlinkFeatures, string, string, string])[] = [
    ['destroy', 'delete an element if present', 'deletes cost more: each is an add and a delete', 'Linux 6.3'],
    ['updateTimeout', 'set the timeout of an element anew', 'renewing a ban resets its counter', 'Linux 6.12'],
    ['resetElements', 'read and zero counters in one step', 'accounts are read by differences', 'Linux 6.5'],
    ['filterStates', 'delete connection states by address', 'killing states lists all of them', 'Linux 6.9'],
  ];
  return rows.map(([id, title, lack, since]) => ({
    id,
    title,
    since,
    present: netlink[id],
    ...(netlink[id] ? {} : { lack }),
  }));
}

/** @throws PosternError as `probe`. */
async function ipsetFinding(namespace: string | undefined): Promise<Finding> {
  const found = { id: 'ipset', title: 'ipsets, for rules of iptables', since: 'CONFIG_IP_SET' };
  const exchange = netfilterExchange(namespace);
  try {
    await new IpsetCommands(exchange).header('postern-probe');
    return { ...found, present: true };
  } catch (error) {
    const { code, message } = asPosternError(error);
    if (code !== 'unsupported') throw error;
    return { ...found, present: false, lack: 'tables with backend: ipset do not load', reason: message };
  } finally {
    await exchange.close();
  }
}

async function sysrqFinding(): Promise<Finding> {
  const found = { id: 'sysrq', title: 'SysRq commands through /proc', since: 'CONFIG_MAGIC_SYSRQ' };
  try {
    await access('/proc/sysrq-trigger', constants.W_OK);
    return { ...found, present: true };
  } catch (error) {
    const { message } = asPosternError(error);
    return { ...found, present: false, lack: 'sysrq requests are checked and logged, but do nothing', reason: message };
  }
}

/** The findings as `postern doctor` prints them: what is missing first. */
export function doctorText(found: Probe): string {
  const missing = found.findings.filter(({ present }) => !present);
  const present = found.findings.filter((finding) => finding.present);
  const lines = [
    `Linux ${found.kernelRelease}, nft ${found.nftVersion}`,
    ...missing.map(({ title, lack, since }) => `missing  ${title}: ${lack} (since ${since})`),
    ...present.map(({ title }) => `ok       ${title}`),
  ];
  return `${lines.join('\n')}\n`;
}
