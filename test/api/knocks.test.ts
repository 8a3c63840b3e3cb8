/** `/v1/knocks` over an engine on the fake kernel. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parsePrefix } from '../../src/net/prefix.js';
import { apiBench } from './fixture.js';

const made = await apiBench();
after(() => made.close());
made.text = `
version: 1
knocks:
  ftp: { spa: 4000, open_secret: { file: open }, close_secret: { file: close } }
  vpn: { spa2: 4003, clients: { file: clients }, autoclose: 1h, ipv4_prefixes: [24] }
chains: { input: { policy: drop, rules: [ { tcp: 21, knock: ftp, do: accept }, { tcp: 22, knock: vpn, do: accept } ] } }
`;
await made.engine.policy.apply();
const { engine, clock } = made;
const ports = [{ protocol: 'tcp' as const, port: 22 }];
await engine.knocks.grant('ftp', parsePrefix('2001:db8::7'));
await engine.knocks.grant('vpn', parsePrefix('198.51.100.0/24'), { by: 'spa2', client: 'laptop', ports });
const at = new Date(clock.wall()).toISOString();

test('knocks are listed with who may come in, since when, until when and where', async () => {
  const { status, body } = await made.ask('GET', '/v1/knocks');
  assert.equal(status, 200);
  const until = new Date(clock.wall() + 3_600_000).toISOString();
  assert.deepEqual(body, {
    knocks: ['ftp', 'vpn'],
    grants: [
      { knock: 'ftp', address: '2001:db8::7', by: 'spa', at },
      { knock: 'vpn', address: '198.51.100.0/24', ports: ['tcp/22'], by: 'spa2', client: 'laptop', at, until },
    ],
  });
});

test('records are lines as the original has them, one a grant', async () => {
  const { body } = await made.ask('GET', '/v1/knocks/vpn/proc');
  assert.deepEqual(body, {
    lines: ['src=198.51.100.0/24 proto=UDP status=ALLOWED accepted_knock_count=1 autoclose_time=3600 [secs] \n'],
  });
  assert.equal((await made.ask('GET', '/v1/knocks/smtp/proc')).status, 404);
});

test('a grant is taken back once, and what was never granted is not found', async () => {
  const url = `/v1/knocks/vpn/grants/${encodeURIComponent('198.51.100.0/24')}`;
  assert.deepEqual(await made.ask('DELETE', url), { status: 200, body: { revoked: true } });
  assert.equal((await made.ask('DELETE', url)).status, 404);
  assert.equal((await made.ask('DELETE', '/v1/knocks/ftp/grants/198.51.100.7')).status, 404);
  assert.equal((await made.ask('DELETE', '/v1/knocks/ftp/grants/nobody')).status, 400);
  assert.equal((await made.ask('DELETE', '/v1/knocks/smtp/grants/198.51.100.7')).status, 404);
  assert.deepEqual((await engine.knocks.list('vpn')).length, 0);
});
