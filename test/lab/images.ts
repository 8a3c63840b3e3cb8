/** The lab's images: on the official ones where a registry can be reached, on a Debian made here where not. */

import { cp, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Docker, reaching, run } from './docker.js';

export const root = fileURLToPath(new URL('../../../', import.meta.url));
/** What is kept between two runs; removed with node_modules. */
export const cache = join(root, 'node_modules/.cache/postern-lab');

const officialBase = 'node:20-bookworm-slim';
const ownBase = 'postern-lab/base';

/** Builds everything. Answers the environment that tells compose which images to take. */
export async function buildImages(docker: Docker, say: (text: string) => void): Promise<Record<string, string>> {
  const env = reaching(docker);
  const official = await pulls(officialBase, env);
  if (official !== undefined) {
    say(`no registry can be reached (${official}): the base of the images is made here`);
    await importBase(env, say);
  }
  const base = official === undefined ? officialBase : ownBase;
  // A daemon without a bridge has no other network for those who build.
  const network = docker.folder === undefined ? [] : ['--network', 'host'];
  const build = (tag: string, file: string, context: string, ...more: string[]) =>
    run(
      'docker',
      [
        ...[
          'build',
          '--quiet',
          '--tag',
          tag,
          '--file',
          join(root, 'docker', file),
          '--build-arg',
          `BASE_IMAGE=${base}`,
        ],
        ...[...proxies(), ...network, ...more, context],
      ],
      { env },
    );
  const context = await stage();
  try {
    say('building the images');
    const program = async () => {
      await build('postern', 'Dockerfile', context);
      await build('postern-lab/host', 'Dockerfile', context, '--target', 'host');
    };
    if (official === undefined) {
      await program();
      return {};
    }
    await Promise.all([
      program(),
      build('postern-lab/prometheus', 'lab/prometheus.Dockerfile', join(root, 'docker/lab')),
    ]);
    return { PROMETHEUS_IMAGE: 'postern-lab/prometheus' };
  } finally {
    await rm(context, { recursive: true });
  }
}

/** Why an image can't be had; undefined when it can. */
async function pulls(image: string, env: Record<string, string>): Promise<string | undefined> {
  const there = await run('docker', ['image', 'inspect', image], { env }).catch(() => undefined);
  if (there !== undefined) return undefined;
  return run('docker', ['pull', '--quiet', image], { env, timeoutMs: 180_000 }).then(
    () => undefined,
    (error: { stderr?: string; shortMessage?: string }) => lastLine(error.stderr || error.shortMessage || 'failed'),
  );
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)!;

async function importBase(env: Record<string, string>, say: (text: string) => void): Promise<void> {
  const file = process.env.LAB_BASE ?? join(cache, `base-${process.version}.tar`);
  if (!(await stat(file).catch(() => undefined))) {
    say('making a Debian; about a minute, kept for the next time');
    await mkdir(cache, { recursive: true });
    await run('sh', [join(root, 'docker/base.sh'), file]).catch((error: { stderr?: string; message: string }) => {
      throw new Error(lastLine(error.stderr || error.message));
    });
  }
  await run('docker', ['import', file, ownBase], { env });
}

/** The proxies of this machine's environment, for those who build. */
function proxies(): string[] {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  return names.filter((name) => process.env[name] !== undefined).flatMap((name) => ['--build-arg', name]);
}

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
}

/** A folder with the program as it is built here and the packages that it runs with, and nothing else. */
async function stage(): Promise<string> {
  const context = await mkdtemp(join(tmpdir(), 'postern-context-'));
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
  const needed = Object.entries(packages).flatMap(([path, { dev, devOptional }]) =>
    // A package inside of another comes with it.
    /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && dev !== true && devOptional !== true ? [path] : [],
  );
  for (const path of [...needed, 'dist/src', 'src/api/page', 'rules', 'package.json', 'LICENSE']) {
    const from = join(root, path);
    // Packages for other platforms are in the lockfile, and not here.
    if (await stat(from).catch(() => undefined)) await cp(from, join(context, path), { recursive: true });
  }
  return context;
}
