import { PosternError } from '../../errors.js';
import { formatSize } from '../../net/size.js';
import type { FileReport } from '../../store/check-folder.js';
import { command } from '../command.js';
import { placeOptions } from '../defaults.js';
import { counted } from '../text.js';
import { storeDisk } from './folder.js';
import { progress } from './progress.js';

export const check = command({
  summary: 'read every record and its check sum; status 9 when something is damaged',
  about: 'Nothing is changed. The daemon itself sets damaged files aside and goes on with what could be read of them.',
  options: { json: { type: 'boolean', help: 'print one JSON object a file' }, ...placeOptions },
  async run({ values, io }) {
    const disk = await storeDisk(values);
    const { checkFolder } = await import('../../store/check-folder.js');
    const told = progress(io, (bytes) => `checked ${formatSize(bytes)}`);
    let [bytes, damaged] = [0, 0];
    for (const report of checkFolder(disk)) {
      bytes += report.bytes;
      told(bytes);
      if (report.troubles.length > 0) damaged++;
      await io.out(values.json === true ? `${JSON.stringify(report)}\n` : textOf(report));
    }
    if (damaged > 0) {
      const files = counted(damaged, 'file');
      throw new PosternError(
        'damaged',
        `${files} in ${disk.path} can't be read whole; the next start keeps what can be read and sets them aside`,
      );
    }
    return 0;
  },
});

function textOf({ name, bytes, registers, troubles, unfinished }: FileReport): string {
  const end = unfinished ? ', the last one unfinished' : '';
  const what = troubles.length === 0 ? 'good' : `damaged: ${troubles.join('; ')}`;
  return `${name}: ${formatSize(bytes)}, ${counted(registers, 'record')}${end}, ${what}\n`;
}
