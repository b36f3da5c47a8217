import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DaemonProcess, startDaemonProcess } from './child-daemon.ts'
import { onFreePort } from './free-port.ts'

/** Debian's package of distribution/distribution. Suites ask `skipWithout('docker-registry')` first. */
export interface DockerRegistry {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  stop(): Promise<void>
}

export interface DockerRegistryOptions {
  /** Bcrypt hashes by user: nobody else is let in (Basic). Everybody is unless given. */
  readonly users?: Readonly<Record<string, string>> | undefined
}

/** Starts one whose storage is the directory, which stays. Manifests and blobs can be deleted. */
export async function startDockerRegistry(
  directory: string,
  { users }: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  await mkdir(directory, { recursive: true })
  const passwords = join(directory, 'htpasswd')
  if (users !== undefined)
    await writeFile(
      passwords,
      Object.entries(users)
        .map(([user, hash]) => `${user}:${hash}\n`)
        .join(''),
    )
  const auth = users === undefined ? '' : `auth: { htpasswd: { realm: test, path: ${passwords} } }\n`
  return await onFreePort(async port => {
    const config = join(directory, 'config.yml')
    await writeFile(config, configOf(directory, port) + auth)
    const url = `http://127.0.0.1:${port}`
    const daemon: DaemonProcess = await startDaemonProcess(join(directory, 'registry.log'), {
      program: 'docker-registry',
      args: ['serve', config],
      ask: async () => {
        const { ok, status } = await fetch(`${url}/v2/`)
        if (!ok && (users === undefined || status !== 401)) throw new Error('not ready')
      },
    })
    return { url, stop: () => daemon.end() }
  })
}

/** The kinds that `docker-registry garbage-collect` takes, too. */
export function configOf(directory: string, port: number): string {
  return `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${directory} }, delete: { enabled: true }, maintenance: { uploadpurging: { enabled: false } } }
http: { addr: "127.0.0.1:${port}" }
validation: { disabled: true }
`
}
