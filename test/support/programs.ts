import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ProcessLock } from '../../src/importer/chain/process-lock.ts'

const run = promisify(execFile)

/** Debian's package for each outside program that a suite may ask for. */
const debianPackageOf: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  containerd: 'containerd',
  debootstrap: 'debootstrap',
  dockerd: 'docker.io',
  go: 'golang-go',
  podman: 'podman',
  skopeo: 'skopeo',
  umoci: 'umoci',
  zfs: 'zfs-fuse',
}

/**
 * Installs what is missing and answers what `skip` of a suite wants: `false` when all programs are there,
 * else the reason why the suite cannot run here. The runner turns such a skip into a failure under CI.
 */
export async function skipWithout(...programs: readonly string[]): Promise<string | false> {
  if (process.getuid?.() !== 0) return `${programs.join(', ')}: needs root`
  try {
    await ensurePrograms(...programs)
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** @throws when a program is neither there nor to be had from Debian. */
export async function ensurePrograms(...programs: readonly string[]): Promise<void> {
  if ((await missing(programs)).length === 0) return
  // Test files run as processes of their own, and apt takes one caller at a time.
  await withMachineLock('apt', async () => {
    const absent = await missing(programs)
    if (absent.length === 0) return
    const packages = absent.map(program => debianPackageOf[program] ?? program)
    const install = ['install', '--yes', '--no-install-recommends', ...packages]
    try {
      await apt(install)
    } catch {
      await apt(['update'])
      await apt(install).catch((cause: unknown) => {
        throw new Error(`${packages.join(', ')}: cannot be installed with apt-get on this machine`, { cause })
      })
    }
  })
}

async function apt(args: readonly string[]): Promise<void> {
  await run('apt-get', ['--quiet', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', PATH: searchPath },
    maxBuffer: 64 * 1024 * 1024,
  })
}

/** Daemons live in sbin, which a plain user's PATH lacks. */
export const searchPath = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)

async function missing(programs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(programs.map(isInstalled))
  return programs.filter((_, index) => !found[index])
}

async function isInstalled(program: string): Promise<boolean> {
  for (const directory of searchPath.split(delimiter))
    if (
      await access(join(directory, program), constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return true
  return false
}

/** One holder on this machine at a time. */
export async function withMachineLock<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  using _lock = await waitForMachineLock(name)
  return await work()
}

/** Waits until nobody on this machine holds the lock. It ends with its process, however that dies. */
export async function waitForMachineLock(name: string): Promise<ProcessLock> {
  const path = join(tmpdir(), `varve-test-${name}.lock`)
  for (;;) {
    const lock = ProcessLock.tryAcquire(path)
    if (lock !== undefined) return lock
    await sleep(50)
  }
}
