import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensurePrograms, searchPath } from '../../test/support/programs.ts'
import { varveProgram } from '../../test/support/varve.ts'

/** A registry that runs as one process on this machine, with its data below one directory and its access log on. */
export interface Contender {
  readonly name: string
  readonly url: string
  /** Resident memory at its highest so far, in bytes. */
  peakMemory(): Promise<number>
  stop(): Promise<void>
}

export type StartContender = (directory: string) => Promise<Contender>

export const startVarve: StartContender = async directory => {
  const port = await freePort()
  const args = ['serve', '--data', directory, '--address', `127.0.0.1:${port}`]
  return await contend('varve', varveProgram, args, directory, port)
}

/** Debian's package of distribution/distribution. */
export const startDockerRegistry: StartContender = async directory => {
  await ensurePrograms('docker-registry')
  const port = await freePort()
  const config = join(directory, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: ${directory} }, delete: { enabled: true }, maintenance: { uploadpurging: { enabled: false } } }
http: { addr: "127.0.0.1:${port}" }
`,
  )
  return await contend('docker-registry', 'docker-registry', ['serve', config], directory, port)
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
    env: { ...process.env, PATH: searchPath, VARVE_REGISTRY_METRICS_ADDRESS: '' },
  })
  closeSync(log)
  const url = `http://127.0.0.1:${port}`
  await untilReady(child, url, join(directory, 'access.log'))
  return { name, url, peakMemory: () => peakMemoryOf(child), stop: () => stop(child) }
}

async function untilReady(child: ChildProcess, url: string, log: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while (
    !(await fetch(`${url}/v2/`).then(
      response => response.ok,
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
