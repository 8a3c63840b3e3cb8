/** SYSRQ requests against what the kernel module did with them: what is taken, which keys, which number is kept. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../src/net/address.js';
import { SysrqReceiver, type SysrqReport } from '../../src/services/sysrq/receiver.js';
import { memoryDisk } from '../../src/store/memory-disk.js';
import { encodePacket, PROTOCOL } from '../../src/wire/packet.js';
import { type SysrqHash, sysrqPassword } from '../../src/wire/sysrq.js';
import { open, TestClock } from '../store/fixtures.js';
import { loadGolden } from './golden.js';

interface Request {
  readonly label: string;
  readonly payload: string;
  readonly seqno_after: string;
  readonly accepted: boolean;
  readonly dmesg: readonly string[];
}

interface Scenario {
  readonly label: string;
  readonly load: { readonly parameters: { readonly password: string; readonly hash: string; readonly seqno: string } };
  readonly packets: readonly Request[];
}

/** The recording host, as the file's README has it. */
const hosts = {
  4: { source: parseAddress('10.9.8.8'), destination: parseAddress('10.0.0.1') },
  6: { source: parseAddress('fd00:9::9'), destination: parseAddress('fd00::1') },
};
const pressedIn = ({ dmesg }: Request): string =>
  dmesg.flatMap((line) => /xt_SYSRQ: SysRq (.)/.exec(line)?.[1] ?? []).join('');

test('SYSRQ requests: we take what the kernel module took, press its keys and keep its number', async (t) => {
  const { scenarios } = loadGolden<{ readonly scenarios: readonly Scenario[] }>('sysrq');
  let compared = 0;
  for (const { label, load, packets } of scenarios) {
    const { password, hash, seqno } = load.parameters;
    const ends = hosts[label.includes('ip6') ? 6 : 4];
    const sequence = (await open(memoryDisk(), new TestClock())).sequence('sysrq');
    const reports: SysrqReport[] = [];
    let pressed = '';
    const receiver = new SysrqReceiver(
      {
        secret: { password: sysrqPassword(Buffer.from(password, 'latin1')), hash: hash as SysrqHash },
        signsAddress: true,
        keys: 'hs',
      },
      {
        sequence,
        firstSequence: BigInt(seqno),
        press: async (key) => {
          pressed += key;
        },
        report: async (report) => void reports.push(report),
      },
    );
    for (const request of packets) {
      pressed = '';
      const udp = { sourcePort: 5555, destinationPort: 9 };
      const payload = Buffer.from(request.payload, 'latin1');
      receiver.receive(encodePacket({ ...ends, protocol: PROTOCOL.UDP, udp, payload }));
      await receiver.settled();
      const where = `${label}: ${request.label}`;
      assert.equal(reports.at(-1)!.result === 'done', request.accepted, where);
      assert.equal(pressed, pressedIn(request), where);
      assert.equal(sequence.current ?? BigInt(seqno), BigInt(request.seqno_after), where);
      compared++;
    }
  }
  t.diagnostic(`sysrq: ${scenarios.length} scenarios, ${compared} requests compared`);
  assert.ok(compared > 0);
});
