/** Where things are when nobody says otherwise. */

export const defaultPolicy = '/etc/postern/postern.yaml';

export const defaultSocket = '/run/postern/api.sock';

const stateFolder = '/var/lib/postern';

/** What is kept for a network namespace must not be taken for the host's. */
export function defaultState(netns: string | undefined): string {
  return netns === undefined ? stateFolder : `${stateFolder}/netns/${netns}`;
}

/** Options that name these places. */
export const placeOptions = {
  netns: { type: 'string', value: 'NAME', help: "network namespace ('ip netns'); this process's own if not given" },
  state: { type: 'string', value: 'DIR', help: `where state is kept; ${stateFolder} if not given` },
} as const;
