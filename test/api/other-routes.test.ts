import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { ServiceView } from '../../src/api/api.js';
import { apiBench, policyText } from './fixture.js';

interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly details?: unknown };
}

suite('accounts over HTTP', async () => {
  const bed = await apiBench();
  after(() => bed.close());
  const { ask } = bed;

  test('are listed with their networks', async () => {
    assert.deepEqual((await ask('GET', '/v1/accounts')).body, {
      accounts: [{ name: 'sales', size: 65536, networks: ['192.0.2.0/24', '2001:db8::/32'] }],
    });
  });

  test('are read as often as one likes, and zeroed by a flush', async () => {
    bed.count('192.0.2.9', 3, 1500);
    bed.count('2001:db8::9', 1, 80);
    const rows = [
      { address: '192.0.2.9', source: { packets: 3, bytes: 1500 }, destination: { packets: 0, bytes: 0 } },
      { address: '2001:db8::9', source: { packets: 1, bytes: 80 }, destination: { packets: 0, bytes: 0 } },
    ];
    for (const [method, path, expected] of [
      ['GET', '', rows],
      ['GET', '', rows],
      ['POST', '/flush', rows],
      ['GET', '', []],
    ] as const) {
      const { status, body } = await ask(method, `/v1/accounts/sales${path}`);
      assert.deepEqual([status, (body as { rows: unknown }).rows], [200, expected]);
    }
  });

  test('keep every digit of large counters', async () => {
    bed.count('192.0.2.9', 1, Number.MAX_SAFE_INTEGER);
    bed.count('192.0.2.9', 1, 2);
    const { body } = await bed.api.inject({ url: '/v1/accounts/sales' });
    assert.match(body, /"bytes":9007199254740993\b/);
  });

  test('that are unknown are not found', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/flush'],
      ['GET', '/rates'],
    ] as const) {
      const { status, body } = await ask(method, `/v1/accounts/none${path}`);
      assert.deepEqual([status, (body as ErrorAnswer).error.code], [404, 'not-found']);
    }
  });

  test('are watched no faster than they can be read', async () => {
    const { status, body } = await ask('GET', '/v1/accounts/sales/rates?interval=1ms');
    assert.equal(status, 400);
    assert.match((body as ErrorAnswer).error.message, /interval of 1ms is out of range: it goes from 200ms to 1h/);
  });
});

suite('the policy over HTTP', async () => {
  const bed = await apiBench();
  after(() => bed.close());
  const { ask } = bed;
  const grown = policyText.replace('size: 3', 'size: 30');

  test('is shown as it is in force', async () => {
    const { body } = await ask('GET', '/v1/policy');
    const { file, text, digest } = body as { file: string; text: string; digest: string };
    assert.deepEqual([file, text], ['policy.yaml', policyText]);
    assert.match(digest, /^[0-9a-f]{64}$/);
  });

  test('can be compared with its file, and with a text', async () => {
    assert.deepEqual((await ask('POST', '/v1/policy/plan')).body, { empty: true, changes: [], warnings: [] });
    const { body } = await ask('POST', '/v1/policy/plan', { file: 'policy.yaml', text: grown });
    const { empty, changes } = body as { empty: boolean; changes: { action: string; kind: string; name: string }[] };
    assert.equal(empty, false);
    assert.deepEqual(
      changes.map(({ action, kind, name }) => [action, kind, name]),
      [
        ['change', 'set', 'inet postern t_tiny_h4'],
        ['change', 'set', 'inet postern t_tiny_h6'],
      ],
    );
    assert.deepEqual((await ask('POST', '/v1/policy/plan')).body, { empty: true, changes: [], warnings: [] });
  });

  test('is reloaded from its file; a trial is confirmed or goes back', async () => {
    bed.text = grown;
    const reloaded = await ask('POST', '/v1/policy/reload', { confirmWithin: '60s' });
    const { confirmBy } = reloaded.body as { confirmBy: string };
    assert.equal(Date.parse(confirmBy), bed.clock.wall() + 60_000);
    assert.equal((await ask('POST', '/v1/policy/reload')).status, 409);
    assert.equal(
      ((await ask('GET', '/v1/status')).body as { policy: { confirmBy: string } }).policy.confirmBy,
      confirmBy,
    );
    assert.deepEqual(await ask('POST', '/v1/policy/confirm'), { status: 204, body: undefined });
    assert.equal((await ask('POST', '/v1/policy/confirm')).status, 409);
    bed.text = policyText;
    await ask('POST', '/v1/policy/reload', { confirmWithin: '60s' });
    assert.equal((await ask('POST', '/v1/policy/rollback')).status, 200);
    assert.equal(((await ask('GET', '/v1/policy')).body as { text: string }).text, grown);
  });

  test('with errors is refused with all of them, and nothing changes', async () => {
    bed.text = 'chains:\n  input:\n    polcy: drop\n    rules:\n      - { do: acept }\n';
    const { status, body } = await ask('POST', '/v1/policy/reload');
    const { code, details } = (body as ErrorAnswer).error;
    assert.deepEqual([status, code], [422, 'policy']);
    assert.deepEqual(
      (details as { file: string; line: number; column: number }[]).map(({ file, line }) => [file, line]),
      [
        ['policy.yaml', 3],
        ['policy.yaml', 5],
      ],
    );
    assert.equal(((await ask('GET', '/v1/policy')).body as { text: string }).text, grown);
  });
});

suite('status over HTTP', async () => {
  let services: ServiceView[] = [];
  const bed = await apiBench({}, { services: () => services });
  after(() => bed.close());
  const { ask } = bed;

  test('tells how the daemon stands', async () => {
    services = [{ name: 'pftabled', state: 'running', status: 'udp 192.0.2.1:56789', metrics: [] }];
    const { body } = await ask('GET', '/v1/status');
    const { version, policy, tables, accounts, services: shown } = body as Record<string, unknown>;
    assert.deepEqual([version, tables, accounts], ['1.2.3', 3, 1]);
    assert.equal((policy as { file: string }).file, 'policy.yaml');
    assert.deepEqual(shown, [{ name: 'pftabled', state: 'running', status: 'udp 192.0.2.1:56789' }]);
  });

  test('is healthy while it answers, and ready while all services run', async () => {
    assert.deepEqual(await ask('GET', '/healthz'), { status: 200, body: { status: 'ok' } });
    assert.deepEqual(await ask('GET', '/readyz'), { status: 200, body: { status: 'ok' } });
    services = [{ name: 'pftabled', state: 'failed', status: 'the port is taken', metrics: [] }];
    assert.equal((await ask('GET', '/healthz')).status, 200);
    assert.deepEqual(await ask('GET', '/readyz'), {
      status: 503,
      body: { error: { code: 'busy', message: 'pftabled: the port is taken' } },
    });
  });
});

suite('metrics', async () => {
  const service: ServiceView = {
    name: 'pftabled',
    state: 'running',
    status: '',
    metrics: [
      {
        name: 'postern_pftabled_datagrams_total',
        help: 'Datagrams.',
        type: 'counter',
        labels: ['result'],
        samples: [{ labels: { result: 'added' }, value: 7 }],
      },
    ],
  };
  const bed = await apiBench({}, { services: () => [service] });
  after(() => bed.close());

  async function scrape(): Promise<Map<string, string>> {
    const { body, headers } = await bed.api.inject({ url: '/metrics' });
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
    const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(samples.map((line) => line.split(/ (?=[^ ]+$)/) as [string, string]));
  }

  test('count accounts by address and direction, and never go back when an account is flushed', async () => {
    bed.count('192.0.2.9', 3, 1500);
    const packets = 'postern_account_packets_total{account="sales",ip="192.0.2.9",direction="source"}';
    const bytes = 'postern_account_bytes_total{account="sales",ip="192.0.2.9",direction="source"}';
    let samples = await scrape();
    assert.deepEqual([samples.get(packets), samples.get(bytes)], ['3', '1500']);
    await bed.ask('POST', '/v1/accounts/sales/flush');
    bed.count('192.0.2.9', 1, 100);
    await bed.clock.pass(2001);
    samples = await scrape();
    assert.deepEqual([samples.get(packets), samples.get(bytes)], ['4', '1600']);
  });

  test('show tables, their changes, services and requests', async () => {
    await bed.ask('POST', '/v1/tables/bruteforce/entries', { address: '192.0.2.1' });
    await bed.ask('GET', '/v1/tables/none');
    const samples = await scrape();
    for (const [name, value] of [
      ['postern_build_info{version="1.2.3"}', '1'],
      ['postern_table_entries{table="bruteforce",kind="hosts"}', '1'],
      ['postern_table_set_elements{table="bruteforce",tier="hosts",family="ipv4"}', '1'],
      ['postern_table_set_size{table="bruteforce",tier="hosts",family="ipv4"}', '200000'],
      ['postern_table_changes_total{table="bruteforce",source="rest",op="add"}', '1'],
      ['postern_pftabled_datagrams_total{result="added"}', '7'],
      ['postern_policy_applied_total', '1'],
      ['postern_drift_found_total', '0'],
      ['postern_api_requests_total{method="GET",route="/v1/tables/:table",status="404"}', '1'],
    ] as const) {
      assert.equal(samples.get(name), value, name);
    }
  });

  test('have names that Prometheus likes: our prefix, base units, counters that end in _total, each with a help', async () => {
    const { body } = await bed.api.inject({ url: '/metrics' });
    const types = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!] as const);
    assert.ok(types.length > 20);
    for (const [name, type] of types) {
      assert.match(name, /^postern_/);
      assert.doesNotMatch(name, /_(ms|milliseconds|kb|kbytes|percent)(_|$)/);
      if (type === 'counter') assert.match(name, /_total$/);
      assert.ok(body.includes(`# HELP ${name} `), name);
    }
  });

  test('are read once for all who ask at the same time', async () => {
    let readings = 0;
    const { accounts } = bed.engine;
    const series = accounts.series.bind(accounts);
    accounts.series = async () => {
      readings++;
      return series();
    };
    const texts = await Promise.all([1, 2, 3].map(() => bed.api.inject({ url: '/metrics' })));
    accounts.series = series;
    assert.deepEqual([readings, texts.every(({ statusCode }) => statusCode === 200)], [1, true]);
  });
});
