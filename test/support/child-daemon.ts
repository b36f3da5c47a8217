import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeWithMounts } from './mounts.ts'
import { searchPath } from './programs.ts'

/** A daemon in a directory of its own: it shares nothing with one that this machine may run already. */
export interface ChildDaemon {
  /** Ends the daemon and removes all that it stored. */
  stop(): Promise<void>
}

export interface DaemonStart {
  readonly program: string
  readonly args: readonly string[]
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Resolves when the daemon answers, rejects while it does not yet. */
  readonly ask: () => Promise<unknown>
}

const startSeconds = 60
const stopSeconds = 30

/** A directory for {@link startDaemon}, without symlinks on the way. */
export async function daemonDirectory(program: string): Promise<string> {
  return await realpath(await mkdtemp(join(tmpdir(), `varve-${program}-`)))
}

/**
 * Starts the daemon and waits until it answers. `directory` holds all that it stores, and goes with it.
 *
 * @throws Error with the end of its log when it does not answer.
 */
export async function startDaemon(directory: string, start: DaemonStart): Promise<ChildDaemon> {
  const logFile = join(directory, `${start.program}.log`)
  const daemon = await spawnWithLog(start, logFile)
  const stop = async (): Promise<void> => {
    await end(daemon)
    await removeWithMounts(directory)
  }
  try {
    await untilReady(daemon, logFile, start)
  } catch (error) {
    await stop()
    throw error
  }
  return { stop }
}

async function spawnWithLog({ program, args, env }: DaemonStart, logFile: string): Promise<ChildProcess> {
  const log = openSync(logFile, 'a')
  try {
    // Ends the daemon even when this process is killed.
    const daemon = spawn('setpriv', ['--pdeathsig=TERM', program, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: searchPath, ...env },
    })
    await once(daemon, 'spawn')
    return daemon
  } finally {
    closeSync(log)
  }
}

async function untilReady(
  daemon: ChildProcess,
  logFile: string,
  { program, ask }: DaemonStart,
): Promise<void> {
  const deadline = Date.now() + startSeconds * 1000
  for (;;) {
    try {
      await ask()
      return
    } catch (cause) {
      if (hasEnded(daemon) || Date.now() > deadline) {
        const log = await readFile(logFile, 'utf8')
        throw new Error(`${program} does not answer:\n${log.slice(-4000)}`, { cause })
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
