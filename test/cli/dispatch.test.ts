import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { CommandEntry } from '../../src/cli/command.js';
import { command } from '../../src/cli/command.js';
import { commands } from '../../src/cli/commands.js';
import { run } from '../../src/cli/dispatch.js';
import { PosternError } from '../../src/errors.js';
import { captured } from './capture.js';

const greet = command({
  summary: 'greet somebody',
  args: 'NAME [MORE...]',
  about: `What is said goes to
standard output.

Names are these:
  NAME    who is greeted first, and told in full how many others there
are to be greeted after it
  MORE    the others`,
  options: {
    loud: { type: 'boolean', short: 'l', help: 'shout' },
    with: { type: 'string', value: 'WORD', help: 'the greeting' },
    also: { type: 'string', multiple: true, help: 'whom else' },
    json: { type: 'boolean', help: 'print as JSON' },
  },
  examples: [{ command: 'postern greet Ann --with hi', what: 'says hi' }],
  async run({ values, args, io }) {
    if (args[0] === 'nobody') throw new PosternError('not-found', 'nobody is here', { details: { name: 'nobody' } });
    await io.out(`${values.with ?? 'hello'} ${[...args, ...(values.also ?? [])].join(' ')}${values.loud ? '!' : ''}\n`);
    return 0;
  },
});

const table: Record<string, CommandEntry> = {
  greet: { topic: 'Other', summary: 'greet somebody', load: async () => greet },
  people: {
    topic: 'Other',
    summary: 'people',
    load: async () => ({
      summary: 'look after people',
      commands: { greet, echo: { summary: 'repeat', raw: async (argv, io) => io.out(argv.join('|')).then(() => 3) } },
    }),
  },
};

async function line(...argv: string[]) {
  const { io, seen } = captured();
  return { status: await run(argv, io, table), ...seen };
}

suite('command line', () => {
  test('options stand before and after the arguments', async () => {
    assert.deepEqual(await line('greet', '-l', 'Ann', '--with=hi', 'Bob', '--also', 'C', '--also', 'D'), {
      status: 0,
      out: 'hi Ann Bob C D!\n',
      err: '',
    });
  });

  for (const [argv, message] of [
    [['gret'], `unknown command 'gret': did you mean "greet"?`],
    [['zzz'], "unknown command 'zzz': see 'postern --help'"],
    [['constructor'], "unknown command 'constructor': see 'postern --help'"],
    [['people', 'gret'], `unknown command 'gret': did you mean "greet"?`],
    [['greet'], "missing NAME: see 'postern greet --help'"],
    [['greet', 'A', '--wiht', 'x'], `unknown option '--wiht': did you mean "--with"?`],
    [['greet', 'A', '-x'], "unknown option '-x': see 'postern greet --help'"],
    [['greet', 'A', '--with'], "--with needs a value: see 'postern greet --help'"],
    [['greet', 'A', '--with', '--loud'], "--with needs a value, but '--loud' follows: see 'postern greet --help'"],
    [['greet', 'A', '--loud=yes'], "--loud takes no value: see 'postern greet --help'"],
    [['greet', 'A', '--with=a', '--with=b'], "--with is given twice: see 'postern greet --help'"],
  ] as const) {
    test(`'${argv.join(' ')}' is refused with status 2 and says what to do`, async () => {
      assert.deepEqual(await line(...argv), { status: 2, out: '', err: `postern: ${message}\n` });
    });
  }

  test('an error has the exit status of its code and is one line', async () => {
    assert.deepEqual(await line('greet', 'nobody'), { status: 4, out: '', err: 'postern: nobody is here\n' });
  });

  test('with --json an error is the JSON that the API answers', async () => {
    const { status, err } = await line('greet', 'nobody', '--json');
    assert.equal(status, 4);
    assert.deepEqual(JSON.parse(err), {
      error: { code: 'not-found', message: 'nobody is here', details: { name: 'nobody' } },
    });
  });

  test('a raw command gets its command line untouched, --help included, and its status is kept', async () => {
    assert.deepEqual(await line('people', 'echo', '--help', '-x'), { status: 3, out: '--help|-x', err: '' });
  });

  test('help of a command shows its arguments, options and examples', async () => {
    const { status, out } = await line('help', 'greet');
    assert.equal(status, 0);
    assert.equal(
      out,
      `Usage: postern greet [OPTION...] NAME [MORE...]

Greet somebody.

What is said goes to standard output.

Names are these:
  NAME    who is greeted first, and told in full how many others there are to
          be greeted after it
  MORE    the others

Options:
  -l, --loud        shout
      --with WORD   the greeting
      --also VALUE  whom else (may be repeated)
      --json        print as JSON
  -h, --help        show this help

Examples:
  postern greet Ann --with hi
      says hi
`,
    );
    assert.equal(
      (await line('people', 'greet', '--help')).out,
      out.replace('postern greet [', 'postern people greet ['),
    );
  });

  test('without a command the overview goes to standard error and the status is not 0', async () => {
    const { status, out, err } = await line();
    assert.deepEqual([status, out], [2, '']);
    assert.match(err, /greet +greet somebody/);
    assert.equal((await line('people')).status, 2);
  });
});

suite('commands', () => {
  test('every command loads, says the same as the overview, and has a help', async () => {
    for (const [name, entry] of Object.entries(commands)) {
      const loaded = await entry.load();
      assert.equal(loaded.summary, entry.summary, name);
      if ('raw' in loaded) continue;
      const { io, seen } = captured();
      assert.equal(await run([name, '--help'], io, commands), 0);
      assert.match(seen.out, new RegExp(`^Usage: postern ${name} `));
    }
  });

  test('no help is wider than 80 columns', async () => {
    const { io, seen } = captured();
    await run(['help'], io, commands);
    for (const [name, entry] of Object.entries(commands)) {
      const loaded = await entry.load();
      if ('raw' in loaded) continue;
      await run(['help', name], io, commands);
      const verbs = 'commands' in loaded ? Object.entries(loaded.commands) : [];
      for (const [verb, inner] of verbs) if (!('raw' in inner)) await run(['help', name, verb], io, commands);
    }
    for (const text of seen.out.split('\n')) assert.ok(text.length <= 80 || text.startsWith('  postern '), text);
  });
});
