/** `postern why` and `postern watch`: of what is in force, of what would be, without a daemon and with one. Needs root. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { Answer } from '../../src/oracle/answer.js';
import type { WatchedPacket } from '../../src/oracle/live-trace.js';
import { encodePacket } from '../../src/wire/packet.js';
import { DaemonBed, program } from './daemon-bed.js';
import { link, namespace, until } from './namespace.js';
import { tcp } from './scratch-world.js';

const policy = `interfaces: { outside: wan }
tables:
  bad: { entries: [203.0.113.64/26, 2001:db8:bad::/48], timeout: 1h }
  office: { entries: [198.51.100.0/28, not 198.51.100.3] }
chains:
  input:
    policy: drop
    rules:
      - { from: <bad>, do: drop }
      - { state: [established, related], do: accept }
      - { in: outside, tcp: 22, from: <office>, do: accept }
      - { tcp: 9999, do: [ add source to <bad> for 10m, drop ] }
      - { in: outside, tcp: [80, 7000], do: accept }
      - { icmp: echo-request, do: accept }
      - { in: outside, udp: any, psd: {}, do: drop }
`;

suite('why', async () => {
  const bed = await DaemonBed.open({ after }, policy);
  const outside = await namespace({ after });
  await link(
    [outside, 'peer0', '192.0.2.2/24', '2001:db8::2/64'],
    [bed.space, 'wan', '192.0.2.1/24', '2001:db8::1/64'],
  );
  await outside.run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
  await bed.space.run('ip', 'route', 'add', 'default', 'via', '192.0.2.254');
  const line = (of: number): number => policy.split('\n').findIndex((text) => text.includes(`tcp: ${of}`)) + 1;

  /** Without a daemon. */
  const why = (...words: readonly string[]) => bed.postern('why', ...bed.places, ...words);
  const answer = async (...words: readonly string[]): Promise<Answer> => {
    const { status, out, err } = await why('--json', ...words);
    assert.equal(status, 0, err);
    return JSON.parse(out) as Answer;
  };

  test('says what is wrong with a packet line at its column, before it looks at anything else', async () => {
    const { status, err } = await why('tcp outside 203.0.113.5 > 192.0.2.1:22 sync');
    assert.equal(status, 2);
    assert.match(
      err,
      /"sync" is neither a TCP flag nor an option\n.*\n {41}\^ column 40\nwrite it as: PROTOCOL INTERFACE/,
    );
  });

  test('says that nothing was applied, and takes a policy by name', async () => {
    const { status, err } = await why('tcp outside 203.0.113.5 > 192.0.2.1:22');
    assert.equal(status, 4);
    assert.match(err, /nothing was applied yet.*--policy FILE/);
    const { verdict, caveats } = await answer('--policy', bed.policy, 'tcp outside 203.0.113.70 > 192.0.2.1:80');
    assert.equal(verdict, 'drop');
    assert.ok(
      caveats.some((caveat) => caveat.includes('nothing of Postern is loaded')),
      caveats.join('\n'),
    );
  });

  test('tells the deciding line, the near miss with the condition that failed, and the remedy', async () => {
    const applied = await bed.postern('apply', bed.policy, ...bed.places);
    assert.equal(applied.status, 0, applied.err);
    const { status, out } = await why('tcp outside 203.0.113.5:40000 > 192.0.2.1:22 syn');
    assert.equal(status, 0);
    assert.match(
      out,
      /^tcp 203\.0\.113\.5:40000 > 192\.0\.2\.1:22\n\nDROP +by the policy of chain input \(policy\.yaml:6\) +state new, in outside\n/,
    );
    assert.match(
      out,
      new RegExp(`:${line(22)} +no +from <office> +in outside, tcp 22, .*held; 203\\.0\\.113\\.5 is not in it`),
    );
    assert.match(out, /Nearest rule: policy\.yaml:\d+ \{ in: outside, tcp: 22, from: <office>, do: accept \}/);
    assert.match(out, /postern table add office 203\.0\.113\.5\n/);
    assert.match(out, /Copied from the host:\n {2}1 device, /);
  });

  test('sees a host in a prefix of a table, in both families, and an exception from one', async () => {
    for (const [from, to] of [
      ['203.0.113.70', '192.0.2.1:80'],
      ['2001:db8:bad::7', '[2001:db8::1]:80'],
    ]) {
      const { verdict, by, copied } = await answer(`tcp outside ${from} > ${to}`);
      assert.deepEqual([verdict, by.rule], ['drop', '{ from: <bad>, do: drop }'], from);
      assert.ok(
        copied.some((text) => text.startsWith('of <bad>: ')),
        copied.join('\n'),
      );
    }
    assert.equal((await answer('tcp outside 198.51.100.4 > 192.0.2.1:22')).verdict, 'accept');
    assert.equal((await answer('tcp outside 198.51.100.3 > 192.0.2.1:22')).verdict, 'drop');
  });

  test('tells what another policy would do: its entries count, and those that are added by others stay', async () => {
    const other = join(bed.folder, 'other.yaml');
    writeFileSync(other, policy.replace('203.0.113.64/26', '203.0.113.5'));
    assert.equal((await answer('--policy', other, 'tcp outside 203.0.113.5 > 192.0.2.1:80')).verdict, 'drop');
    assert.equal((await answer('--policy', other, 'tcp outside 203.0.113.70 > 192.0.2.1:80')).verdict, 'accept');
    await bed.space.nft('add element inet postern t_bad_h4 { 203.0.113.9 timeout 1h }\n');
    assert.equal((await answer('--policy', other, 'tcp outside 203.0.113.9 > 192.0.2.1:80')).verdict, 'drop');
  });

  test('reports the errors of a policy that does not load as check does', async () => {
    const broken = join(bed.folder, 'broken.yaml');
    writeFileSync(broken, policy.replace('do: drop', 'do: drp'));
    const { status, err } = await why('--policy', broken, 'tcp outside 203.0.113.5 > 192.0.2.1:80');
    assert.equal(status, 3);
    assert.match(err, /broken\.yaml:9:\d+: error: .*did you mean "drop"/);
  });

  test('tells the effects: elements that are added, and rules that count', async () => {
    const { verdict, effects } = await answer('tcp outside 203.0.113.5 > 192.0.2.1:9999');
    assert.equal(verdict, 'drop');
    assert.deepEqual(effects, ['203.0.113.5 is added to <bad> for 10m', `counted at policy.yaml:${line(9999)}`]);
  });

  test('tells what the host loses from what a rule drops', async () => {
    const lost = await answer('tcp outside 127.0.0.1 > 192.0.2.1:80');
    assert.deepEqual([lost.verdict, lost.by.kind], ['lost', 'host']);
    await bed.space.run('sysctl', '-qw', 'net.ipv4.ip_forward=0');
    const forwarded = await answer('tcp outside 203.0.113.5 > 198.51.100.9:80');
    assert.match(`${forwarded.verdict} ${forwarded.by.text}`, /^lost by the host: it is for somebody else/);
  });

  test('takes a packet as hex and out of a capture, and names the interfaces that there are', async () => {
    const bytes = Buffer.from(encodePacket(tcp('203.0.113.5', '192.0.2.1', 80)));
    const hex = await answer('--hex', bytes.toString('hex'), '--in', 'outside');
    const capture = join(bed.folder, 'a.pcap');
    const head = Buffer.alloc(40);
    head.writeUInt32LE(0xa1b2c3d4, 0);
    head.writeUInt32LE(101, 20);
    head.writeUInt32LE(bytes.length, 32);
    head.writeUInt32LE(bytes.length, 36);
    writeFileSync(capture, Buffer.concat([head, bytes]));
    const captured = await answer('--pcap', capture, '--in', 'wan');
    assert.deepEqual([hex.verdict, captured.verdict], ['accept', 'accept']);
    const { status, err } = await why('--hex', bytes.toString('hex'), '--in', 'lan');
    assert.equal(status, 4);
    assert.match(err, /no interface lan that is up; there are outside \(wan\), wan/);
  });

  test('copies tables of others: their verdict is told as theirs', async () => {
    await bed.space.nft(
      'table inet others {\n chain c {\n type filter hook input priority -10;\n tcp dport 7000 drop comment "not today"\n }\n}\n',
    );
    const { verdict, by, copied } = await answer('tcp outside 203.0.113.5 > 192.0.2.1:7000');
    assert.equal(verdict, 'drop');
    assert.match(by.text, /by a rule of table others, chain c \(not today\)/);
    assert.ok(copied.includes('tables of others: inet others'), copied.join('\n'));
    await bed.space.nft('delete table inet others\n');
  });

  test('knows the connection that a packet belongs to', async () => {
    const server = "require('net').createServer((s) => s.pipe(s)).listen(7000, '192.0.2.1')";
    bed.space.start(process.execPath, ['-e', server], { stdio: 'ignore' });
    const client =
      "const c = require('net').connect({ port: 7000, host: '192.0.2.1', localPort: 45000 }); c.on('error', () => setTimeout(() => process.exit(1), 100)).on('connect', () => c.write('x'))";
    const retry = `until ${process.execPath} -e "${client}"; do sleep 0.2; done`;
    outside.start('sh', ['-c', retry], { stdio: 'ignore' });
    const established = async (): Promise<boolean> =>
      (await bed.space.run('ss', '-Htn', 'state', 'established')).stdout.includes(':45000');
    await until('the client is connected', established, 60_000);
    const { verdict, state, by } = await answer('tcp outside 192.0.2.2:45000 > 192.0.2.1:7000 ack');
    assert.deepEqual([verdict, state], ['accept', 'established']);
    assert.equal(by.rule, '{ state: [established, related], do: accept }');
  });

  test('of an address without a daemon: tables, and who says so, and the rules', async () => {
    const { out } = await why('198.51.100.4');
    assert.match(out, /<office> 198\.51\.100\.0\/28 by policy .*policy\.yaml for ever\n/);
    assert.match(out, /\{ in: outside, tcp: 22, from: <office>, do: accept \} +\(from: it is in <office>\)/);
    assert.match((await why('198.51.100.3')).out, /not in <office>: 198\.51\.100\.3 is an exception by policy/);
    // The ports that a scan has touched: a set of address, protocol and port.
    const sets = await bed.space.list('list', 'sets', 'inet');
    for (const [family, address] of [
      ['ipv4', '203.0.113.77'],
      ['ipv6', '2001:db8::77'],
    ]) {
      const [, pairs] =
        new RegExp(`set (\\S+) \\{\\s+type ${family}_addr \\. inet_proto \\. inet_service`).exec(sets) ?? [];
      await bed.space.nft(`add element inet postern ${pairs} { ${address} . udp . 53 timeout 1h }\n`);
      const { out: scanned } = await why(address!);
      assert.match(scanned, new RegExp(`Remembered:\\n  psd .*: ${address}, udp, port 53, for 3\\d{3} s more\\n`));
    }
    assert.match((await why('198.18.0.1')).out, /no table, no grant, no counter and no rule is about it/);
  });

  test('asks the daemon when it runs: who banned an address and until when, and what becomes of its packets', async () => {
    const daemon = await bed.start();
    assert.equal((await bed.postern('table', 'add', 'bad', '203.0.113.20', '-c', 'guesses')).status, 0);
    const { out } = await bed.postern('why', '203.0.113.20');
    assert.match(out, /<bad> 203\.0\.113\.20 by cli uid 0 until 20\d\d-.*Z \(guesses\)\n/);
    const packet = await bed.postern('why', 'tcp', 'outside', '203.0.113.20', '>', '192.0.2.1:80');
    assert.match(packet.out, /^DROP +by policy\.yaml:9 \{ from: <bad>, do: drop \}/m);
    const other = join(bed.folder, 'other.yaml');
    const whatIf = await bed.postern('why', '--policy', other, 'tcp outside 203.0.113.70 > 192.0.2.1:80');
    assert.match(whatIf.out, /^ACCEPT +by other\.yaml:/m);
    const wrong = await bed.postern('why', '--json', '--hex', '4500', '--in', 'outside');
    assert.equal(wrong.status, 2);
    assert.match(wrong.err, /"code":"invalid"/);
    // The client of before is connected still.
    const cutting = '      - { from: 192.0.2.2, tcp: 7000, do: drop }\n      - { state: [';
    bed.write(policy.replace('      - { state: [', cutting));
    const refused = await bed.postern('reload');
    assert.equal(refused.status, 4);
    assert.match(
      refused.err,
      /tcp-7000\/192\.0\.2\.2: a packet from the peer would be stopped by policy\.yaml:10 \{ from: 192\.0\.2\.2, tcp: 7000,/,
    );
    const forced = await bed.postern('reload', '--force', 'tcp-7000/192.0.2.2');
    assert.equal(forced.status, 0, forced.err);
    bed.write(policy);
    await daemon.stop();
  });

  suite('watch', () => {
    const tables = async (): Promise<string> => bed.space.list('list', 'tables');

    test('tells real packets of an address with their lines, and its table goes with it', async () => {
      const watching = bed.postern('watch', '192.0.2.2', '--rate', '50', '--count', '2', '--json', ...bed.places);
      await until('it watches', async () => (await tables()).includes('postern_watch'), 60_000);
      await outside.run('ping', '-c', '1', '-W', '2', '192.0.2.1');
      const { status, out, err } = await watching;
      assert.equal(status, 0, err);
      const [request] = out.split('\n').map((text) => (text === '' ? undefined : (JSON.parse(text) as WatchedPacket)));
      assert.equal(request?.packet, 'icmp 192.0.2.2 > 192.0.2.1');
      assert.deepEqual([request?.verdict, request?.in, request?.state], ['accept', 'wan', 'new']);
      assert.match(request?.by ?? '', /^by policy\.yaml:\d+ \{ icmp: echo-request, do: accept \}$/);
      assert.doesNotMatch(await tables(), /postern_watch/);
    });

    test('leaves no table behind when it is killed', async () => {
      const watching = bed.space.start(process.execPath, [
        ...[program, 'watch', '192.0.2.2', '--state', bed.state, '--socket', join(bed.folder, 'none.sock')],
      ]);
      await until('it watches', async () => (await tables()).includes('postern_watch'), 60_000);
      watching.kill('SIGKILL');
      await watching;
      await until('its table is gone', async () => !(await tables()).includes('postern_watch'), 60_000);
    });
  });
});
