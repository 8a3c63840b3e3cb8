/** A lab that runs, and where the next command finds it. */

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { answers, type Docker, daemonOf, findDocker, reaching, run, startDaemonIn, stopDocker } from './docker.js';
import { buildImages, cache, root } from './images.js';

export interface Session {
  readonly docker: Docker;
  /** For compose and docker. */
  readonly env: Readonly<Record<string, string>>;
}

const file = join(cache, 'session.json');
export const project = 'postern-lab';

/**
 * The lab that is up, if one is. What is left of one whose daemon is gone is removed.
 * @throws Error when its daemon runs and doesn't answer.
 */
export async function upSession(): Promise<Session | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const session = JSON.parse(text) as Session;
  if (await answers(session.docker)) return session;
  const { folder } = session.docker;
  if (folder !== undefined && daemonOf(folder) !== undefined) {
    throw new Error(`the lab's docker daemon doesn't answer; its log is ${join(folder, 'dockerd.log')}`);
  }
  if (folder !== undefined && existsSync(folder)) {
    // Only a daemon knows what is left of its containers and networks.
    await startDaemonIn(folder);
    await stopSession(session);
  }
  await rm(file, { force: true });
  return undefined;
}

/** Builds and starts everything. When something fails, what was started is stopped. */
export async function startSession(say: (text: string) => void): Promise<Session> {
  const docker = await findDocker();
  say(docker.folder === undefined ? 'on the docker daemon that runs' : 'on a docker daemon of its own');
  let session: Session = { docker, env: reaching(docker) };
  try {
    const images = await buildImages(docker, say);
    session = { docker, env: { ...reaching(docker), ...images } };
    say('starting the containers');
    await compose(session, 'up', '--detach', '--no-build');
    await mkdir(cache, { recursive: true });
    await writeFile(file, JSON.stringify(session));
    return session;
  } catch (error) {
    await stopSession(session);
    throw error;
  }
}

/** Removes containers, networks, volumes, and a daemon of the lab's own with all it has. */
export async function stopSession(session: Session): Promise<void> {
  // Not by `run`: this has to happen after an interruption, too.
  const [program, ...words] = await composeCommand(session);
  const args = [...words, 'down', '--volumes', '--remove-orphans', '--timeout', '2'];
  const { failed, stderr } = await execa(program!, args, { env: session.env, detached: true, reject: false });
  if (failed) console.error(`lab: taking the containers down: ${stderr}`);
  await stopDocker(session.docker);
  await rm(file, { force: true });
}

export async function compose(session: Session, ...args: readonly string[]): Promise<string> {
  const [program, ...words] = await composeCommand(session);
  return run(program!, [...words, ...args], { env: session.env });
}

/** Compose is a part of docker, or the program that it was before. */
async function composeCommand({ env }: Session): Promise<string[]> {
  const { failed } = await execa('docker', ['compose', 'version'], { env, reject: false });
  const program = failed ? ['docker-compose'] : ['docker', 'compose'];
  return [...program, '--project-name', project, '--file', join(root, 'docker/compose.yaml')];
}
