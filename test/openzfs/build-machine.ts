/**
 * Builds the machine that the suites run on with OpenZFS, once for each recipe: `node test/openzfs/build-machine.ts`.
 * It takes 10 to 25 minutes, and is kept where the fixtures are.
 */
import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { findMirror, suite } from '../fixtures/image/debian-root.ts'
import { cacheDirectory } from '../support/cache-directory.ts'
import { exec } from '../support/process.ts'
import { ensurePrograms, withMachineLock } from '../support/programs.ts'
import { runLogged } from './logged.ts'
import { diskBytes, recipeDigest, steps } from './recipe.ts'

/** What a machine boots from; read only, because every run writes to a layer of its own above the disk. */
export interface MachineFiles {
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
  /** Private key that the machine's root trusts. */
  readonly key: string
  /** The machine's own key, under the name `varve-openzfs`. */
  readonly knownHosts: string
}

const limitSeconds = { debootstrap: 900, step: 3600, disk: 900 }

/** The machine of this recipe, if it has been built. */
export async function findMachine(): Promise<MachineFiles | undefined> {
  const files = filesIn(join(machinesDirectory(), recipeDigest))
  return (await readFile(files.knownHosts).catch(() => undefined)) === undefined ? undefined : files
}

/** Answers the machine, and builds it first when there is none. A build that was interrupted goes on where it was. */
export async function ensureMachine(signal?: AbortSignal): Promise<MachineFiles> {
  const found = await findMachine()
  if (found !== undefined) return found
  return await withMachineLock('openzfs-machine', async () => {
    if ((await findMachine()) === undefined) await build(signal)
    return filesIn(join(machinesDirectory(), recipeDigest))
  })
}

function machinesDirectory(): string {
  return join(cacheDirectory(), 'openzfs')
}

function filesIn(directory: string): MachineFiles {
  const path = (name: string): string => join(directory, name)
  return {
    disk: path('disk'),
    kernel: path('kernel'),
    initrd: path('initrd'),
    key: path('key'),
    knownHosts: path('known-hosts'),
  }
}

async function build(signal: AbortSignal | undefined): Promise<void> {
  await ensurePrograms('debootstrap', 'mke2fs', 'ssh-keygen', 'unshare')
  const work = join(machinesDirectory(), `${recipeDigest}.building`)
  const [root, done, logFile] = [join(work, 'root'), join(work, 'done'), join(work, 'log')]
  const started = Date.now()
  const say = (text: string): void =>
    console.error(`OpenZFS machine, ${Math.round((Date.now() - started) / 1000)} s: ${text}`)
  await mkdir(work, { recursive: true })
  const finished = (await readFile(done, 'utf8').catch(() => '')).split('\n')

  if (!finished.includes('base')) {
    say(`Debian ${suite} by debootstrap (all output is in ${logFile})`)
    await rm(root, { recursive: true, force: true })
    const mirror = await findMirror()
    const form = ['--variant=minbase', '--components=main,contrib', suite, root, mirror]
    await runLogged('unshare', [...inNamespace, 'debootstrap', ...form], {
      logFile,
      limitSeconds: limitSeconds.debootstrap,
      signal,
    })
    const sources = [suite, `${suite}-updates`, `${suite}-backports`]
    await writeFile(
      join(root, 'etc/apt/sources.list'),
      sources.map(name => `deb ${mirror} ${name} main contrib\n`).join(''),
    )
    await appendFile(done, 'base\n')
  }
  for (const { name, what, script } of steps) {
    if (finished.includes(name)) continue
    say(what)
    const enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -e -c "$1"'
    await runLogged('unshare', [...inNamespace, 'sh', '-c', enter, root, script], {
      logFile,
      limitSeconds: limitSeconds.step,
      signal,
    })
    await appendFile(done, `${name}\n`)
  }
  say('its disk')
  await makeFiles(root, join(work, 'machine'), logFile, signal)
  await rename(join(work, 'machine'), join(machinesDirectory(), recipeDigest))
  await removeOthers()
  say('built')
}

/** What is mounted goes with the last process, and all processes go with the first. */
const inNamespace: readonly string[] = ['--mount', '--pid', '--fork', '--kill-child']

async function makeFiles(
  root: string,
  directory: string,
  logFile: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { mode: 0o700 })
  const { disk, kernel, initrd, key, knownHosts } = filesIn(directory)
  await exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  await copyFile(`${key}.pub`, join(root, 'root/.ssh/authorized_keys'))
  const boot = await readdir(join(root, 'boot'))
  for (const [prefix, target] of [
    ['vmlinuz-', kernel],
    ['initrd.img-', initrd],
  ] as const) {
    const name = boot.find(file => file.startsWith(prefix))
    if (name === undefined) throw new Error(`the machine's /boot has no ${prefix}*: see ${logFile}`)
    await copyFile(join(root, 'boot', name), target)
  }
  await writeFile(disk, '')
  await truncate(disk, diskBytes)
  await runLogged('mke2fs', ['-q', '-t', 'ext4', '-d', root, disk], {
    logFile,
    limitSeconds: limitSeconds.disk,
    signal,
  })
  const hostKey = await readFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
  await writeFile(knownHosts, `varve-openzfs ${hostKey}`)
}

/** A machine of another recipe is of no use to anybody, and 2 GB large; so is what this one was made from. */
async function removeOthers(): Promise<void> {
  for (const name of await readdir(machinesDirectory()))
    if (name !== recipeDigest) await rm(join(machinesDirectory(), name), { recursive: true, force: true })
}

if (import.meta.main) {
  const { disk } = await ensureMachine()
  console.log(disk)
}
