import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeWithMounts } from './mounts.ts'
import { searchPath } from './programs.ts'

/** A daemon in a directory of its own: it shares nothing with one that this machine may run already. */
export interface ChildDaemon {
  readonly pid: number
  /** Ends the daemon and removes all that it stored. */
  stop(): Promise<void>
}

/** A running program, without the directory that it works in. */
export interface DaemonProcess {
  readonly pid: number
  /** Ends it, by force if it does not in time. */
  end(): Promise<void>
}

export interface DaemonStart {
  /** Its name, or its path. */
  readonly program: string
  readonly args: readonly string[]
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** This process's own by default. */
  readonly user?: DaemonUser | undefined
  /** What makes it end in good order without waiting for its clients; SIGTERM by default. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT' | undefined
  /** Resolves when the daemon answers, rejects while it does not yet. */
  readonly ask: () => Promise<unknown>
}

export interface DaemonUser {
  readonly uid: number
  readonly gid: number
}

const startSeconds = 60
const stopSeconds = 30

/** A directory for {@link startDaemon}, without symlinks on the way. */
export async function daemonDirectory(program: string, parent: string = tmpdir()): Promise<string> {
  return await realpath(await mkdtemp(join(parent, `varve-${program}-`)))
}

/**
 * Starts the daemon and waits until it answers. `directory` holds all that it stores, temporary files included, and goes
 * with it.
 *
 * @throws Error with the end of its log when it does not answer.
 */
export async function startDaemon(directory: string, start: DaemonStart): Promise<ChildDaemon> {
  const remove = (): Promise<void> => removeWithMounts(directory)
  try {
    const daemon = await startDaemonProcess(join(directory, `${basename(start.program)}.log`), start)
    return { pid: daemon.pid, stop: () => daemon.end().finally(remove) }
  } catch (error) {
    await remove()
    throw error
  }
}

/**
 * Starts the program and waits until it answers; what it prints is added to the log. Its temporary files lie beside the log.
 *
 * @throws Error with the end of the log when it does not answer; it has ended then.
 */
export async function startDaemonProcess(logFile: string, start: DaemonStart): Promise<DaemonProcess> {
  const daemon = await spawnWithLog(start, logFile)
  const end = (): Promise<void> => endProcess(daemon, start.stopSignal ?? 'SIGTERM')
  try {
    await untilReady(daemon, logFile, start)
  } catch (error) {
    await end()
    throw error
  }
  if (daemon.pid === undefined) throw new Error(`${start.program}: a process that was spawned has a number`)
  return { pid: daemon.pid, end }
}

async function spawnWithLog(
  { program, args, env, user, stopSignal = 'SIGTERM' }: DaemonStart,
  logFile: string,
): Promise<ChildProcess> {
  const log = openSync(logFile, 'a')
  const identity = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  try {
    // Ends the daemon even when this process is killed.
    const daemon = spawn('setpriv', [`--pdeathsig=${stopSignal.slice(3)}`, ...identity, program, ...args], {
      stdio: ['ignore', log, log],
      // A daemon that is killed leaves temporary files; a containerd that dockerd finds too slow, its stacks.
      env: { ...process.env, PATH: searchPath, TMPDIR: dirname(logFile), ...env },
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

async function endProcess(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(daemon)) return
  const ended = once(daemon, 'exit')
  daemon.kill(signal)
  const timer = setTimeout(() => daemon.kill('SIGKILL'), stopSeconds * 1000)
  await ended
  clearTimeout(timer)
}

function hasEnded(daemon: ChildProcess): boolean {
  return daemon.exitCode !== null || daemon.signalCode !== null
}
