import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Login } from './account-registry.ts'
import type { DockerDaemon } from './dockerd.ts'

/** The `docker` client with logins of its own, which are in a directory of its own. */
export interface DockerClient {
  readonly docker: (...args: readonly string[]) => Promise<string>
  login(host: string, login: Login): Promise<string>
  /** What it keeps for the registry in its config.json; undefined when it is not logged in. */
  kept(host: string): Promise<{ readonly auth?: string; readonly identitytoken?: string } | undefined>
}

/** @param directory that need not exist yet. */
export function dockerClient(daemon: DockerDaemon, directory: string): DockerClient {
  const docker = (...args: readonly string[]): Promise<string> =>
    daemon.docker('--config', directory, ...args)
  return {
    docker,
    login: (host, { username, password }) =>
      docker('login', `--username=${username}`, `--password=${password}`, host),
    kept: async host => {
      const text = await readFile(join(directory, 'config.json'), 'utf8').catch(() => '{}')
      const { auths = {} } = JSON.parse(text) as { auths?: Record<string, { auth?: string }> }
      return auths[host]
    },
  }
}
