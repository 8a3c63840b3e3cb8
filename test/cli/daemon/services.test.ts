import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Services } from '../../../src/cli/daemon/services.js';
import type { Engine } from '../../../src/engine/engine.js';
import type { Policy } from '../../../src/policy/ast.js';
import type { ServiceKind } from '../../../src/services/service.js';

interface Section {
  readonly port: number;
  readonly at?: unknown;
  readonly fails?: boolean;
}

/** A service that writes down what happens to it; the policy's `file` stands in for its section. */
function bed(files: readonly string[] = []) {
  const told: string[] = [];
  const kind: ServiceKind<Section> = {
    name: 'echo',
    section: (policy) => (policy as unknown as { echo?: Section }).echo,
    files: () => files,
    create: ({ port, fails }) => ({
      async start() {
        told.push(`start ${port}`);
        if (fails === true) throw new Error(`port ${port} is taken`);
      },
      async stop() {
        told.push(`stop ${port}`);
      },
      status: () => `port ${port}`,
    }),
  };
  const log = {
    info: (message: string) => void told.push(`info ${message}`),
    warn: (message: string) => void told.push(`warn ${message}`),
    error: (message: string) => void told.push(`error ${message}`),
  };
  const engine = {} as Engine;
  const services = new Services([kind as ServiceKind], { engine, log, now: Date.now });
  const bring = (echo?: Section) => services.bring({ echo } as unknown as Policy);
  return { told, services, bring };
}

suite('services', () => {
  test('start when the policy asks for them and stop when it no longer does', async () => {
    const { told, services, bring } = bed();
    await bring({ port: 1 });
    assert.deepEqual(services.views(), [{ name: 'echo', state: 'running', status: 'port 1', metrics: [] }]);
    await bring();
    assert.deepEqual(services.views(), []);
    assert.deepEqual(told, ['start 1', 'info echo: port 1', 'stop 1']);
  });

  test('are left alone by a reload that moved their section, and start anew when it changed', async () => {
    const { told, bring } = bed();
    await bring({ port: 1, at: { line: 1 } });
    await bring({ port: 1, at: { line: 7 } });
    assert.deepEqual(told, ['start 1', 'info echo: port 1']);
    await bring({ port: 2 });
    assert.deepEqual(told.slice(2), ['stop 1', 'start 2', 'info echo: port 2']);
  });

  test('start anew when a file that they read was changed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-services-'));
    const key = join(folder, 'key');
    writeFileSync(key, 'old');
    const { told, bring } = bed([key]);
    await bring({ port: 1 });
    await bring({ port: 1 });
    writeFileSync(key, 'new');
    await bring({ port: 1 });
    rmSync(folder, { recursive: true });
    assert.deepEqual(
      told.filter((line) => !line.startsWith('info')),
      ['start 1', 'stop 1', 'start 1'],
    );
  });

  test('that cannot start are shown as failed, logged, and tried again by the next reload', async () => {
    const { told, services, bring } = bed();
    await bring({ port: 1, fails: true });
    assert.deepEqual(services.views(), [{ name: 'echo', state: 'failed', status: 'port 1 is taken', metrics: [] }]);
    assert.deepEqual(told, ['start 1', "error echo can't start: port 1 is taken"]);
    await bring({ port: 1, fails: true });
    assert.equal(told.filter((line) => line === 'start 1').length, 2);
    await services.stop();
    assert.ok(!told.includes('stop 1'), 'what never started is not stopped');
  });

  test('that cannot start are tried again after a while', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { told, services, bring } = bed();
    await bring({ port: 1, fails: true });
    context.mock.timers.tick(10_000);
    await services.stop();
    assert.equal(told.filter((line) => line === 'start 1').length, 2);
  });
});
