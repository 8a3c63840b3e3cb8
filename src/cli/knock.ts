/** `postern knock …`: grants of the daemon, and a client that knocks. */

import { PosternError } from '../errors.js';
import { daemonOf, daemonOptions } from './client.js';
import { type CommandGroup, command } from './command.js';
import { enrol } from './knock-enrol.js';
import { send } from './knock-send.js';
import { aligned, jsonLine } from './text.js';

interface GrantRow {
  readonly knock: string;
  readonly address: string;
  readonly by: string;
  readonly client?: string;
  readonly ports?: readonly string[];
  readonly at?: string;
  readonly until?: string;
}

const list = command({
  summary: 'list who may come in because of a knock, and until when',
  args: '[KNOCK]',
  options: {
    proc: { type: 'boolean', help: 'as /proc/net/xt_pknock/KNOCK of xtables-addons, half sequences included' },
    json: { type: 'boolean', help: 'print as JSON' },
    ...daemonOptions,
  },
  async run(call) {
    const { args, values, io } = call;
    const daemon = daemonOf(call);
    const [wanted] = args;
    const { knocks, grants } = await daemon.ask<{ knocks: string[]; grants: GrantRow[] }>('GET', '/v1/knocks');
    if (wanted !== undefined && !knocks.includes(wanted)) {
      throw new PosternError('not-found', `no knock '${wanted}' in the policy`);
    }
    if (values.proc === true) {
      for (const name of wanted === undefined ? knocks : [wanted]) {
        const path = `/v1/knocks/${encodeURIComponent(name)}/proc`;
        await io.out((await daemon.ask<{ lines: string[] }>('GET', path)).lines.join(''));
      }
      return 0;
    }
    const rows = grants.filter(({ knock }) => wanted === undefined || knock === wanted);
    if (values.json === true) await io.out(jsonLine(rows));
    else await io.out(aligned([['KNOCK', 'ADDRESS', 'BY', 'SINCE', 'UNTIL', 'PORTS'], ...rows.map(rowOf)]));
    return 0;
  },
});

const rowOf = ({
  knock,
  address,
  by,
  client = '',
  ports = ['all'],
  at = '?',
  until = 'for ever',
}: GrantRow): string[] => [knock, address, client === '' ? by : `${by} ${client}`, at, until, ports.join(' ')];

const revoke = command({
  summary: 'let a source in no longer',
  args: 'KNOCK ADDRESS',
  about: 'Connections that are open stay open where the policy accepts packets of known connections.',
  options: { ...daemonOptions },
  async run(call) {
    const [knock = '', address = ''] = call.args;
    await daemonOf(call).ask('DELETE', `/v1/knocks/${encodeURIComponent(knock)}/grants/${encodeURIComponent(address)}`);
    await call.io.out(`${address} has to knock at ${knock} again\n`);
    return 0;
  },
});

export const knock: CommandGroup = {
  summary: 'knock at a host; look at and take back what knocks have opened',
  commands: { list, revoke, enrol, send },
};
