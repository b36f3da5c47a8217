import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChildDaemon, daemonDirectory, startDaemon } from './child-daemon.ts'
import { exec } from './process.ts'
import { ensurePrograms } from './programs.ts'

export interface DockerDaemon extends ChildDaemon {
  /** `unix:///…`, for DOCKER_HOST and skopeo's `--dest-daemon-host`. */
  readonly host: string
  /** Runs the `docker` client against this daemon; answers its standard output. */
  docker(...args: readonly string[]): Promise<string>
}

/**
 * Starts `dockerd` as it runs without a kernel's overlay, bridges or packet filter, and waits until it answers.
 * Registries on 127.0.0.0/8 may be spoken to in plain HTTP without being declared. Needs root.
 *
 * @param config what its daemon.json says.
 */
export async function startDockerd(config: Readonly<Record<string, unknown>> = {}): Promise<DockerDaemon> {
  await ensurePrograms('dockerd')
  const directory = await daemonDirectory('dockerd')
  const host = `unix://${join(directory, 'docker.sock')}`
  const env = { DOCKER_HOST: host, DOCKER_CONFIG: join(directory, 'client') }
  const docker = (...args: readonly string[]): Promise<string> => exec('docker', args, { env })
  const configFile = join(directory, 'daemon.json')
  // Without a file of our own it would read the one of this machine.
  await writeFile(configFile, JSON.stringify(config))
  const daemon = await startDaemon(directory, {
    program: 'dockerd',
    args: [
      `--config-file=${configFile}`,
      `--host=${host}`,
      `--data-root=${join(directory, 'data')}`,
      `--exec-root=${join(directory, 'exec')}`,
      `--pidfile=${join(directory, 'dockerd.pid')}`,
      '--storage-driver=vfs',
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
    ],
    ask: () => docker('version'),
  })
  return { host, docker, pid: daemon.pid, stop: () => daemon.stop() }
}
