import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeWithMounts } from './mounts.ts'
import { exec } from './process.ts'
import { ensurePrograms, searchPath } from './programs.ts'

/** A Docker daemon of our own: it shares nothing with one that this machine may run already. */
export interface DockerDaemon {
  /** `unix:///…`, for DOCKER_HOST and skopeo's `--dest-daemon-host`. */
  readonly host: string
  /** Runs the `docker` client against this daemon; answers its standard output. */
  docker(...args: readonly string[]): Promise<string>
  /** Ends the daemon and removes all that it stored. */
  stop(): Promise<void>
}

const startSeconds = 60
const stopSeconds = 30

/**
 * Starts `dockerd` as it runs without a kernel's overlay, bridges or packet filter, and waits until it answers.
 * Registries on 127.0.0.0/8 may be spoken to in plain HTTP without being declared. Needs root.
 */
export async function startDockerd(): Promise<DockerDaemon> {
  await ensurePrograms('dockerd')
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'varve-dockerd-')))
  const host = `unix://${join(directory, 'docker.sock')}`
  const clientConfig = join(directory, 'client')
  const docker = (...args: readonly string[]): Promise<string> =>
    exec('docker', args, { env: { DOCKER_HOST: host, DOCKER_CONFIG: clientConfig } })
  const daemon = await spawnDaemon(directory, host)
  const stop = async (): Promise<void> => {
    await end(daemon)
    await removeWithMounts(directory)
  }
  try {
    await untilReady(daemon, directory, docker)
  } catch (error) {
    await stop()
    throw error
  }
  return { host, docker, stop }
}

async function spawnDaemon(directory: string, host: string): Promise<ChildProcess> {
  const configFile = join(directory, 'daemon.json')
  // Without a file of our own it would read the one of this machine.
  await writeFile(configFile, '{}')
  const log = openSync(logOf(directory), 'a')
  try {
    const daemon = spawn(
      // Ends the daemon even when this process is killed.
      'setpriv',
      [
        '--pdeathsig=TERM',
        'dockerd',
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
      { stdio: ['ignore', log, log], env: { ...process.env, PATH: searchPath } },
    )
    await once(daemon, 'spawn')
    return daemon
  } finally {
    closeSync(log)
  }
}

async function untilReady(
  daemon: ChildProcess,
  directory: string,
  docker: DockerDaemon['docker'],
): Promise<void> {
  const deadline = Date.now() + startSeconds * 1000
  for (;;) {
    try {
      await docker('version')
      return
    } catch (cause) {
      if (hasEnded(daemon) || Date.now() > deadline) {
        const log = await readFile(logOf(directory), 'utf8')
        throw new Error(`dockerd does not answer:\n${log.slice(-4000)}`, { cause })
      }
      await sleep(100)
    }
  }
}

async function end(daemon: ChildProcess): Promise<void> {
  if (hasEnded(daemon)) return
  const ended = once(daemon, 'exit')
  daemon.kill('SIGTERM')
  const timer = setTimeout(() => daemon.kill('SIGKILL'), stopSeconds * 1000)
  await ended
  clearTimeout(timer)
}

function hasEnded(daemon: ChildProcess): boolean {
  return daemon.exitCode !== null || daemon.signalCode !== null
}

function logOf(directory: string): string {
  return join(directory, 'dockerd.log')
}
