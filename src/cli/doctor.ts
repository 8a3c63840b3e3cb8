import { command } from './command.js';
import { placeOptions } from './defaults.js';

export const doctor = command({
  summary: 'try what this kernel and this nft can do, and say what each lack means',
  about: 'Changes nothing. Exits 1 when something is missing without which Postern can not run.',
  options: {
    json: { type: 'boolean', help: 'print as JSON' },
    netns: placeOptions.netns,
  },
  async run({ values, io }) {
    const [{ openNft }, { assertUsable, doctorText, probe }] = await Promise.all([
      import('../kernel/nft.js'),
      import('../kernel/probe.js'),
    ]);
    const { netns } = values;
    const found = await probe({
      nft: openNft(netns === undefined ? {} : { netns }),
      ...(netns !== undefined && { namespace: netns }),
    });
    const { kernelRelease, nftVersion, findings } = found;
    await io.out(
      values.json === true ? `${JSON.stringify({ kernelRelease, nftVersion, findings })}\n` : doctorText(found),
    );
    assertUsable(found);
    return 0;
  },
});
