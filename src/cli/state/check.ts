import { PosternError } from '../../errors.js';
import type { LogReport } from '../../store/check-audit.js';
import type { FileReport } from '../../store/check-folder.js';
import type { Disk } from '../../store/disk.js';
import { command } from '../command.js';
import { placeOptions } from '../defaults.js';
import { counted, sizeText } from '../text.js';
import { stateFolder, storeDisk } from './folder.js';
import { progress } from './progress.js';

export const check = command({
  summary: 'read every kept file, record by record; status 9 when something is damaged or of a newer version',
  about: `Nothing is changed, and a daemon may run meanwhile. Journals and snapshots are read with the check sum of each record, the
applied policy (engine.json) and the audit log line by line. The daemon itself sets damaged files aside and goes on with what could be
read of them; files of a newer version it sets aside whole, and begins with an empty store.`,
  options: { json: { type: 'boolean', help: 'print one JSON object a file' }, ...placeOptions },
  async run({ values, io }) {
    const folder = stateFolder(values);
    const told = progress(io, (bytes) => `checked ${sizeText(bytes)}`);
    let [bytes, damaged, newer] = [0, 0, 0];
    for await (const report of reports(folder, await storeDisk(values))) {
      bytes += report.bytes;
      told(bytes);
      if (report.newer) newer++;
      else if (report.troubles.length > 0) damaged++;
      await io.out(values.json === true ? `${JSON.stringify(report)}\n` : textOf(report));
    }
    if (newer > 0) {
      throw new PosternError(
        'damaged',
        `a newer version wrote ${counted(newer, 'file')} in ${folder}; this one would set all aside and begin with an empty store: install the newer one`,
      );
    }
    if (damaged > 0) {
      const files = counted(damaged, 'file');
      throw new PosternError(
        'damaged',
        `${files} in ${folder} can't be read whole; the next start keeps what can be read and sets them aside`,
      );
    }
    return 0;
  },
});

/** What all kinds of files tell, and how much is in them. */
type Report = Pick<FileReport, 'name' | 'bytes' | 'troubles'> & Partial<FileReport> & Partial<LogReport>;

async function* reports(folder: string, disk: Disk): AsyncGenerator<Report> {
  const [{ checkFolder }, { checkStateFile, stateFileName }, { checkAuditLog }] = await Promise.all([
    import('../../store/check-folder.js'),
    import('../../engine/state-file.js'),
    import('../../store/check-audit.js'),
  ]);
  yield* checkFolder(disk);
  const applied = await checkStateFile(folder);
  if (applied !== undefined) {
    const troubles = applied.trouble === undefined ? [] : [applied.trouble];
    yield { name: stateFileName, bytes: applied.bytes, troubles };
  }
  yield* checkAuditLog(folder);
}

function textOf({ name, bytes, registers, unfinished, lines, torn = 0, newer, troubles }: Report): string {
  const parts = [
    sizeText(bytes),
    ...(registers === undefined ? [] : [counted(registers, 'record')]),
    ...(unfinished ? ['broken off in the last one, as a crash or a daemon at work leaves it'] : []),
    ...(lines === undefined ? [] : [counted(lines, 'line')]),
    ...(torn === 0 ? [] : [`${torn} of them broken off by a crash`]),
    troubles.length === 0 ? 'good' : `${newer ? 'of a newer version' : 'damaged'}: ${troubles.join('; ')}`,
  ];
  return `${name}: ${parts.join(', ')}\n`;
}
