/** Policies planned and applied without a daemon: what it would do, done by the command itself. */

import { refuseUnknownCountries } from '../engine/countries.js';
import type { Engine, EngineEvents } from '../engine/engine.js';
import { entriesDiff } from '../engine/entries-diff.js';
import { emptyLoadable, loadable } from '../engine/loader.js';
import type { PolicyDiff, PolicyText } from '../engine/policy-control.js';
import { inventoryDiff } from '../engine/policy-diff.js';
import { stateFile } from '../engine/state-file.js';
import { PosternError } from '../errors.js';
import { enterNamespace } from '../kernel/netns.js';
import { openKernel } from '../kernel/open.js';
import { parseDuration } from '../net/duration.js';
import { countryFiles } from '../services/geoip/source.js';
import type { Io } from './command.js';
import { Closers } from './daemon/closers.js';
import { openGround } from './daemon/ground.js';
import { lockState } from './daemon/state-folder.js';
import { defaultState } from './defaults.js';
import type { AppliedView, PlanView } from './plan-text.js';
import { compileText, readPolicyFile } from './policy-file.js';

interface Places {
  readonly netns?: string;
  readonly state?: string;
}

/** What applying the file would change. Nothing is changed. @throws PosternError as the engine's `plan`. */
export async function planDirectly(file: string, { netns, state }: Places): Promise<PlanView> {
  const folder = state ?? defaultState(netns);
  const kept = await stateFile(folder).read();
  const { plan } = compileText(readPolicyFile(file), kept?.manifest);
  refuseUnknownCountries(plan, countryFiles);
  const kernel = await openKernel(netns === undefined ? {} : { netns });
  try {
    await kernel.adopt(kept?.manifest ?? plan.manifest);
    const next = loadable(plan);
    const changes = [
      ...inventoryDiff(kept?.inventory ?? emptyLoadable.inventory, next.inventory, await kernel.present()),
      ...(await entriesDiff(kept?.tables ?? [], next.tables.tables)),
    ];
    if (changes.length > 0) await kernel.check(plan, kept?.manifest);
    const warnings = plan.warnings.map(({ at, message }) => `${at.file}:${at.line}:${at.column}: ${message}`);
    return { empty: changes.length === 0, changes, warnings };
  } finally {
    await kernel.close();
  }
}

/**
 * Applies the file and leaves the kernel to itself.
 * @throws PosternError as the engine's `apply`; `conflict` when a daemon works on the same state.
 */
export async function applyDirectly(
  file: string,
  { netns, state, confirm, force = [] }: Places & { readonly confirm?: string; readonly force?: readonly string[] },
  io: Io,
): Promise<AppliedView> {
  const next = readPolicyFile(file);
  const confirmWithinMs = confirm === undefined ? undefined : parseDuration(confirm);
  const stateFolder = state ?? defaultState(netns);
  const closers = new Closers((message) => io.err(`postern: ${message}\n`));
  try {
    const notify = (notice: string) => io.err(`postern: store: ${notice}\n`);
    closers.add(lockState(stateFolder, notify));
    if (netns !== undefined) enterNamespace(netns);
    // A trial goes back to what was in force: that has to be in force first.
    const before = confirmWithinMs === undefined ? undefined : (await stateFile(stateFolder).read())?.source;
    const { engine } = await openGround({
      stateFolder,
      readPolicy: () => before ?? next,
      notify,
      onStop: closers.add,
    });
    engine.events.on('trouble', ({ error }) => io.err(`postern: ${error.message}\n`));
    if (confirmWithinMs === undefined) {
      await proveDirectly(next, stateFolder, force, io);
      return { plan: await startWith(engine) };
    }
    if (before !== undefined) await engine.start();
    return { plan: await tryOut(engine, next, { confirmWithinMs, force }, io) };
  } finally {
    await closers.close();
  }
}

const nothing: PolicyDiff = { empty: true, changes: [], warnings: [] };

/** The engine's start takes a policy as it is: at a boot nobody is connected yet. Here somebody may be. */
async function proveDirectly(next: PolicyText, stateFolder: string, force: readonly string[], io: Io): Promise<void> {
  const kept = await stateFile(stateFolder).read();
  const from = kept && compileText(kept.source, kept.manifest);
  const { prove } = await import('./prove.js');
  const notify = (notice: string): void => io.err(`postern: ${notice}\n`);
  const operator = io.env.SSH_CONNECTION;
  await prove(compileText(next, kept?.manifest), from, { force, ...(operator !== undefined && { operator }) }, notify);
}

/** The engine's start applies the policy; what that changes it says as an event. */
async function startWith(engine: Engine): Promise<PolicyDiff> {
  let diff = nothing;
  engine.events.on('policy', (event) => {
    diff = event.diff;
  });
  await engine.start();
  return diff;
}

/** @throws PosternError `timeout` when nobody confirmed; the kernel is as before then. */
async function tryOut(
  engine: Engine,
  next: PolicyText,
  { confirmWithinMs, force }: { readonly confirmWithinMs: number; readonly force: readonly string[] },
  io: Io,
): Promise<PolicyDiff> {
  const { diff, confirmBy } = await engine.policy.apply(next, { confirmWithinMs, force });
  if (confirmBy === undefined) return diff;
  const rolledBack = new Promise<false>((resolve) => {
    engine.events.on('policy', ({ what }: EngineEvents['policy'][0]) => what === 'rolled-back' && resolve(false));
  });
  io.err(`applied; press Enter to keep it, else it goes back in ${confirmWithinMs / 1000} s\n`);
  // The engine's clock alone doesn't keep the process alive, and it has to live to go back.
  const alive = setInterval(() => {}, confirmWithinMs);
  const kept = await Promise.race([enterPressed(io), rolledBack]);
  clearInterval(alive);
  if (!kept) {
    throw new PosternError(
      'timeout',
      `not confirmed within ${confirmWithinMs / 1000} s: what was in force before is back`,
    );
  }
  await engine.policy.confirm();
  return diff;
}

/** Never settles when standard input ends without a line. */
function enterPressed({ stdin }: Io): Promise<true> {
  return new Promise((resolve, reject) => {
    const lines = stdin[Symbol.asyncIterator]();
    lines.next().then(({ done }) => done !== true && resolve(true), reject);
  });
}
