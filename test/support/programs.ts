import { execFile } from 'node:child_process'
import { access, constants, glob, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ProcessLock } from '../../src/storage/process-lock.ts'

const run = promisify(execFile)

/** Debian's package for each outside program that a suite may ask for. */
const debianPackageOf: Readonly<Record<string, string>> = {
  bsdtar: 'libarchive-tools',
  buildah: 'buildah',
  busybox: 'busybox-static',
  containerd: 'containerd',
  debootstrap: 'debootstrap',
  dockerd: 'docker.io',
  faketime: 'faketime',
  getfattr: 'attr',
  go: 'golang-go',
  htpasswd: 'apache2-utils',
  mke2fs: 'e2fsprogs',
  pgbouncer: 'pgbouncer',
  podman: 'podman',
  postgres: 'postgresql',
  prlimit: 'util-linux',
  'qemu-system-x86_64': 'qemu-system-x86',
  setcap: 'libcap2-bin',
  setfacl: 'acl',
  setfattr: 'attr',
  skopeo: 'skopeo',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  umoci: 'umoci',
  zfs: 'zfs-fuse',
}

/** Where Debian puts what several versions may be installed of. */
const versionedDirectories: Readonly<Record<string, string>> = {
  postgres: '/usr/lib/postgresql/*/bin',
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
  await using _services = await withoutServices()
  await run('apt-get', ['--quiet', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', PATH: searchPath },
    maxBuffer: 64 * 1024 * 1024,
  })
}

/** Debian's packages ask this file whether they may start what they bring (invoke-rc.d(8)). */
const servicePolicy = '/usr/sbin/policy-rc.d'

/** Suites start their own daemons; none of this machine's is to run because a suite has run once. */
async function withoutServices(): Promise<AsyncDisposable> {
  const isOurs = await writeFile(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  )
  return {
    [Symbol.asyncDispose]: async () => {
      if (isOurs) await rm(servicePolicy, { force: true })
    },
  }
}

/** Daemons live in sbin, which a plain user's PATH lacks. */
export const searchPath = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)

async function missing(programs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(programs.map(pathOf))
  return programs.filter((_, index) => found[index] === undefined)
}

/** The newest of what is installed of the program; undefined when there is none. */
export async function pathOf(program: string): Promise<string | undefined> {
  const versions = await Array.fromAsync(glob(versionedDirectories[program] ?? []))
  const newestFirst = versions.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  for (const directory of [...newestFirst, ...searchPath.split(delimiter)]) {
    const path = join(directory, program)
    if (await isExecutable(path)) return path
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
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
