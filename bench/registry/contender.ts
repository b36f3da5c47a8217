import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { ensurePrograms, searchPath } from '../../test/support/programs.ts'
import { varveProgram } from '../../test/support/varve.ts'

/** A registry that runs as one process on this machine, with its data below one directory and its access log on. */
export interface Contender {
  readonly name: string
  readonly url: string
  /** Resident memory at its highest so far, in bytes. */
  peakMemory(): Promise<number>
  /** Time that its process has taken of all cores so far, in seconds. */
  cpuSeconds(): Promise<number>
  stop(): Promise<void>
}

export type StartContender = (directory: string) => Promise<Contender>

export const startVarve: StartContender = varveWith({})

/** @param settings those of varve.yaml. */
export function varveWith(settings: Readonly<Record<string, unknown>>): StartContender {
  return async directory => {
    const port = await freePort()
    const config = join(directory, 'varve.yaml')
    // It may have secrets in it.
    await writeFile(config, stringify(settings), { mode: 0o600 })
    const args = ['serve', '--config', config, '--data', directory, '--address', `127.0.0.1:${port}`]
    return await contend('varve', varveProgram, args, directory, port)
  }
}

/** Debian's package of distribution/distribution. */
export const startDockerRegistry: StartContender = directory =>
  dockerRegistryWith({ filesystem: { rootdirectory: directory } })(directory)

/**
 * @param storage the driver with its parameters, and what else belongs to `storage` in its config.yml.
 * @param sections further ones of it.
 */
export function dockerRegistryWith(
  storage: Readonly<Record<string, unknown>>,
  sections: Readonly<Record<string, unknown>> = {},
): StartContender {
  return async directory => {
    await ensurePrograms('docker-registry')
    const port = await freePort()
    const config = join(directory, 'config.yml')
    const settings = {
      version: 0.1,
      log: { level: 'info' },
      storage: { ...storage, delete: { enabled: true }, maintenance: { uploadpurging: { enabled: false } } },
      http: { addr: `127.0.0.1:${port}` },
      ...sections,
    }
    await writeFile(config, stringify(settings), { mode: 0o600 })
    return await contend('docker-registry', 'docker-registry', ['serve', config], directory, port)
  }
}

async function contend(
  name: string,
  program: string,
  args: readonly string[],
  directory: string,
  port: number,
): Promise<Contender> {
  const log = openSync(join(directory, 'access.log'), 'a')
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    env: { ...ownEnvironment(), PATH: searchPath, VARVE_REGISTRY_METRICS_ADDRESS: 'off' },
  })
  closeSync(log)
  const url = `http://127.0.0.1:${port}`
  await untilReady(child, url, join(directory, 'access.log'))
  return {
    name,
    url,
    peakMemory: () => peakMemoryOf(child),
    cpuSeconds: () => cpuSecondsOf(child),
    stop: () => stop(child),
  }
}

/** Without what this machine tells clients of AWS: not meant for a server of ours, and the peer stops at a CA bundle. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')))
}

async function untilReady(child: ChildProcess, url: string, log: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while (
    !(await fetch(`${url}/v2/`).then(
      // One that asks who is there answers, too.
      response => response.ok || response.status === 401,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`${child.spawnfile} does not answer:\n${await readFile(log, 'utf8')}`)
    await sleep(50)
  }
}

async function peakMemoryOf({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

/** proc_pid_stat(5): utime and stime, in ticks, which are hundredths of a second on Linux. */
async function cpuSecondsOf({ pid }: ChildProcess): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
