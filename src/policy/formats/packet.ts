/** A packet in one line, for flows that every policy must let through. */

import type { PacketLine } from '../ast.js';
import { LineError, parseLine } from '../packet-line.js';
import { Misread } from '../scope.js';
import type { Format } from '../types.js';

export const packetLine: Format<PacketLine> = {
  name: 'packet',
  label: 'PACKET',
  description: 'A packet in one line: tcp wan 203.0.113.5 > 192.0.2.1:22.',
  json: { type: 'string', pattern: '^\\S+ \\S+ \\S+ > \\S+' },
  parse: (text) => {
    try {
      return parseLine(text.value);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      throw new Misread(
        error.problem,
        'write it as: tcp wan 203.0.113.5 > 192.0.2.1:22',
        text.slice(error.column - 1).at,
      );
    }
  },
};
