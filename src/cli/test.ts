import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../errors.js';
import { openScratch } from '../kernel/open-scratch.js';
import type { TestFile } from '../oracle/policytest/model.js';
import { readTests } from '../oracle/policytest/read.js';
import { type FileResult, jsonReport, tapText, totalsOf } from '../oracle/policytest/report.js';
import { runTests } from '../oracle/policytest/run.js';
import { Trial } from '../oracle/trial.js';
import { diagnosticJson } from '../policy/diagnostics.js';
import { command } from './command.js';
import { compileText, readPolicyFile } from './policy-file.js';
import { counted } from './text.js';
import { inUserNamespace } from './user-namespace.js';

const mostBytes = 4 << 20;
const suffix = /\.test\.ya?ml$/;

export const test = command({
  summary: 'test policies: packets through the real kernel, and what must become of them',
  args: 'FILE...',
  about: `Each FILE holds tests: a host, packets in one line each, and what is expected of them. They run in a network
namespace of their own that nobody else sees; nothing of this machine is looked at or changed. Without root a user
namespace is used where the kernel allows it. The policy is the file's "policy:", or FILE without ".test". The report is
TAP; the status is 1 when a test failed, or was skipped without --allow-skips.

The host listens where a test says so: given: { sockets: [ tcp 443, "udp [2001:db8::80]:443" ] }. A SYN that is let in is
then answered by syn,ack, and where nothing listens by rst,ack.`,
  options: {
    policy: { type: 'string', value: 'FILE', help: 'test this policy instead of the one that the file names' },
    'allow-skips': { type: 'boolean', help: 'tests that can not run here do not fail the run' },
    json: { type: 'boolean', help: 'print as JSON' },
  },
  examples: [
    { command: 'postern test rules/demo.test.yaml', what: 'prove -v, for a firewall' },
    {
      command: 'postern test --policy new.yaml /etc/postern/postern.test.yaml',
      what: 'does a new policy keep the promises of the old one?',
    },
  ],
  async run({ values, args, io }) {
    const files = args.map((path) => ({ path, tests: readTestFile(path) }));
    const trial = await openTrial();
    if (trial === undefined) return inUserNamespace();
    try {
      const results: FileResult[] = [];
      for (const { path, tests } of files) results.push(await runFile(trial, path, tests, values.policy));
      await io.out(values.json === true ? `${JSON.stringify(jsonReport(results))}\n` : tapText(results));
      const { failed, skipped } = totalsOf(results);
      return failed > 0 || (skipped > 0 && values['allow-skips'] !== true) ? 1 : 0;
    } finally {
      trial.dispose();
    }
  },
});

/** Undefined when this process may not make namespaces, but one in a user namespace might. */
async function openTrial(): Promise<Trial | undefined> {
  try {
    return new Trial(await openScratch());
  } catch (error) {
    if (error instanceof PosternError && error.code === 'forbidden' && !inUserNamespace.isInside) return undefined;
    throw error;
  }
}

async function runFile(trial: Trial, path: string, tests: TestFile, instead: string | undefined): Promise<FileResult> {
  const policyPath = instead ?? join(dirname(path), tests.policy ?? basename(path).replace(suffix, '.yaml'));
  const { policy, plan } = compileText(readPolicyFile(policyPath));
  const parts = { trial, policy, plan, wait: (ms: number) => setTimeout(ms), steady: () => performance.now() };
  return { file: path, policy: policyPath, results: await runTests(tests, parts) };
}

/** @throws PosternError `policy` with the diagnostics of the file. */
function readTestFile(path: string): TestFile {
  if (!suffix.test(path)) throw new PosternError('usage', `${path}: files of tests are called NAME.test.yaml`);
  const { file, diagnostics } = readTests(textOf(path), path);
  if (file !== undefined) return file;
  throw new PosternError('policy', `${path}: ${counted(diagnostics.length, 'error')}`, {
    details: diagnostics.map(diagnosticJson),
  });
}

function textOf(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > mostBytes) throw new Error(`it is larger than ${mostBytes >> 20} MiB`);
    return bytes.toString('utf8');
  } catch (cause) {
    throw new PosternError('system', `can't read ${path}: ${(cause as Error).message}`, { cause });
  }
}
