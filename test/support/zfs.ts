import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { ProcessLock } from '../../src/storage/process-lock.ts'
import { ensurePrograms, searchPath, waitForMachineLock, withMachineLock } from './programs.ts'

const run = promisify(execFile)
const pidFile = join(tmpdir(), 'varve-test-zfs-fuse.pid')
const logFile = join(tmpdir(), 'varve-test-zfs-fuse.log')

/** A pool of its own on a sparse file; the suite that made it destroys it. */
export interface TestPool {
  readonly name: string
  readonly mountpoint: string
  readonly destroy: () => Promise<void>
}

/** Makes `zpool` answer: a kernel module does already, otherwise zfs-fuse is installed and started. */
export async function ensureZfs(): Promise<void> {
  if (await poolsAnswer()) return
  await ensurePrograms('zfs')
  await withMachineLock('zfs', async () => {
    if (await poolsAnswer()) return
    await startDaemon()
    const giveUp = Date.now() + 20_000
    while (!(await poolsAnswer())) {
      if (Date.now() > giveUp) throw new Error('zfs-fuse was started, but zpool does not answer')
      await sleep(50)
    }
  })
}

/**
 * It outlives the suite that starts it, for the next one. Not by daemonising itself: then nobody would hear the
 * assertion that it died of.
 */
async function startDaemon(): Promise<void> {
  const log = await open(logFile, 'w')
  try {
    const daemon = spawn('zfs-fuse', ['--no-daemon', '--no-kstat-mount'], {
      env: { PATH: searchPath, LC_ALL: 'C' },
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    await once(daemon, 'spawn')
    await writeFile(pidFile, `${daemon.pid}\n`)
    daemon.unref()
  } finally {
    await log.close()
  }
}

/** Whether a zfs-fuse that {@link ensureZfs} started is running. */
export async function zfsDaemonRunning(): Promise<boolean> {
  const pid = await daemonPid()
  return pid !== undefined && isAlive(pid)
}

/** Ends the zfs-fuse that {@link ensureZfs} started, and no other. For the runner, after the last suite. */
export async function stopZfsDaemon(): Promise<void> {
  const pid = await daemonPid()
  if (pid !== undefined && isAlive(pid)) {
    process.kill(pid, 'SIGTERM')
    const giveUp = Date.now() + 10_000
    while (isAlive(pid)) {
      if (Date.now() > giveUp) process.kill(pid, 'SIGKILL')
      await sleep(50)
    }
  }
  await rm(pidFile, { force: true })
  await rm(logFile, { force: true })
}

/** Whether a kernel's ZFS answers here, and not zfs-fuse: it takes any number of clients at a time. */
export const isZfsInKernel = existsSync('/dev/zfs')

/**
 * zfs-fuse deadlocks for good when several clients mount at once, so one of its pools is in use at a time on this machine.
 *
 * @param options `size` in bytes; the file is sparse, so that a big one costs nothing.
 */
export async function createPool(options: { readonly size?: number } = {}): Promise<TestPool> {
  const turn = isZfsInKernel ? undefined : await waitForMachineLock('zfs-pool')
  try {
    return await createPoolInTurn(options, turn)
  } catch (error) {
    turn?.release()
    throw error
  }
}

async function createPoolInTurn(
  options: { readonly size?: number },
  turn: ProcessLock | undefined,
): Promise<TestPool> {
  await ensureZfs()
  const directory = await mkdtemp(join(tmpdir(), 'varve-test-pool-'))
  const name = `varvetest${randomBytes(5).toString('hex')}`
  const disk = join(directory, 'disk')
  const mountpoint = join(directory, 'mount')
  try {
    const file = await open(disk, 'wx')
    await file.truncate(options.size ?? 512 * 1024 * 1024).finally(() => file.close())
    await command('zpool', ['create', '-f', '-o', 'cachefile=none', '-m', mountpoint, name, disk])
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  const destroy = async () => {
    await destroyPool(name)
    await rm(directory, { recursive: true, force: true })
    turn?.release()
  }
  return { name, mountpoint, destroy }
}

/**
 * For `patience` of a store: zfs-fuse says "busy" after an unmount for as long as the machine is, which is longer than an
 * operator should wait.
 */
export const patientOnFuse: readonly number[] = Array<number>(60).fill(500)

/**
 * Runs `zfs` for what a suite checks or spoils behind the back of the store. What is busy is tried again: zfs-fuse is
 * for a moment after every unmount.
 */
export async function zfs(...args: readonly string[]): Promise<string> {
  const giveUp = Date.now() + 20_000
  for (;;) {
    try {
      return (await command('zfs', args)).stdout
    } catch (error) {
      if (!/busy|umount failed/.test(String(error)) || Date.now() > giveUp) throw error
      await sleep(100)
    }
  }
}

async function destroyPool(name: string): Promise<void> {
  const giveUp = Date.now() + 10_000
  for (;;) {
    try {
      await command('zpool', ['destroy', '-f', name])
      return
    } catch (error) {
      if (/Connection refused/.test(String(error)))
        throw new Error(`zfs-fuse died:\n${await readFile(logFile, 'utf8')}`, { cause: error })
      // zfs-fuse is busy for a moment after every unmount.
      if (!/busy|umount failed/.test(String(error))) throw error
      if (Date.now() > giveUp) {
        // And for ever when a process was killed at the wrong moment. We have the only pool, which goes with its daemon.
        if (!(await zfsDaemonRunning())) throw error
        await stopZfsDaemon()
        return
      }
      await sleep(100)
    }
  }
}

async function poolsAnswer(): Promise<boolean> {
  return command('zpool', ['list', '-H', '-o', 'name']).then(
    () => true,
    () => false,
  )
}

async function daemonPid(): Promise<number | undefined> {
  const text = await readFile(pidFile, 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function command(program: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return run(program, args, {
    env: { PATH: searchPath, LC_ALL: 'C' },
    maxBuffer: 64 * 1024 * 1024,
  })
}

/**
 * What there is below `POOL/varve` that an empty chain store would not have: datasets, snapshots, lock files.
 */
export async function storeLeftovers(pool: TestPool): Promise<string[]> {
  const root = `${pool.name}/varve`
  const fixed = [root, `${root}/chains`, `${root}/clones`, `${root}/images`]
  const listing = await zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', root)
  const datasets = listing.split('\n').filter(name => name !== '' && !fixed.includes(name))
  const locks = await readdir(join(pool.mountpoint, 'varve/images/locks'))
  return [...datasets, ...locks.map(lock => `locks/${lock}`)].toSorted()
}
