import { access, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findMirror, suite } from '../fixtures/image/debian-root.ts'
import { blobPath } from '../fixtures/image/oci-layout.ts'
import type { FixtureImage } from '../fixtures/make-image.ts'
import { withOwnStorage } from './container-storage.ts'
import { exec } from './process.ts'

/** What the Dockerfile makes, unpacked. */
export interface BuiltImage {
  /** Directory of its root filesystem. */
  readonly root: string
  /** Of its config. */
  readonly user: string
  readonly env: readonly string[]
  readonly workingDirectory: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
}

/** Files that are mounted into the build, by their path there. */
export type BuildMounts = ReadonlyMap<string, string>

const repository = join(import.meta.dirname, '../..')
/** The Node and npm of this checkout. */
const toolchain = join(repository, 'toolchain/node_modules')
const base = 'localhost/node'
/** As in the official images, and what follows too. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const npmHome = '/usr/local/lib/node_modules/npm'

/**
 * Builds the Dockerfile on a Debian with this checkout's Node, in a storage below `directory`, which must be
 * removed by `removeWithMounts`. Needs root, and what this machine's npm reaches.
 */
export async function buildVarveImage(
  fixture: FixtureImage,
  directory: string,
  mounts: BuildMounts,
): Promise<BuiltImage> {
  const buildah = withOwnStorage('buildah', directory)
  const image = 'localhost/varve'
  await makeBase(fixture, buildah)
  const volumes = [...mounts].flatMap(([target, source]) => ['--volume', `${source}:${target}:ro`])
  const how = ['--isolation=chroot', '--network=host', '--pull-never', ...volumes]
  await buildah('build', ...how, '--build-arg', `NODE_IMAGE=${base}`, '--tag', image, repository)
  const container = (await buildah('from', '--pull-never', image)).trim()
  const inspected = JSON.parse(await buildah('inspect', '--type=image', image)) as Inspected
  const { User, Env, WorkingDir, Entrypoint, Cmd } = inspected.OCIv1.config
  return {
    root: (await buildah('mount', container)).trim(),
    user: User,
    env: Env,
    workingDirectory: WorkingDir,
    entrypoint: Entrypoint,
    command: Cmd,
  }
}

/** As `buildah inspect` prints it: image-spec, config.md. */
interface Inspected {
  readonly OCIv1: {
    readonly config: {
      readonly User: string
      readonly Env: readonly string[]
      readonly WorkingDir: string
      readonly Entrypoint: readonly string[]
      readonly Cmd: readonly string[]
    }
  }
}

/** What the official image of Node is for the Dockerfile: a Debian with `node` and `npm`. */
async function makeBase(
  { layout, branch }: FixtureImage,
  buildah: (...args: readonly string[]) => Promise<string>,
): Promise<void> {
  const [debian] = branch.layers
  if (debian === undefined) throw new Error(`${branch.tag} of the fixture has no layer`)
  // The one layer that is Debian, unpacked: this storage would copy the image for each layer above it.
  const container = (await buildah('from', 'scratch')).trim()
  await buildah('add', container, blobPath(layout, debian.digest), '/')
  await buildah('copy', container, join(toolchain, 'npm'), npmHome)
  const program = join(npmHome, 'bin/npm-cli.js')
  await buildah('run', '--isolation=chroot', container, 'ln', '-s', program, '/usr/local/bin/npm')
  await buildah('copy', container, await realpath(process.execPath), '/usr/local/bin/node')
  await buildah('config', '--env', `PATH=${defaultPath}`, container)
  await buildah('commit', '--rm', container, base)
}

/**
 * How npm reaches its registry here, written below `directory` where it has to be. Mounted, so that nothing of it
 * gets into the image.
 */
export async function npmSettings(directory: string): Promise<BuildMounts> {
  const mounts = new Map<string, string>()
  const user = await npmSetting('userconfig')
  if (await exists(user)) mounts.set('/root/.npmrc', await realpath(user))

  const machine = await npmSetting('globalconfig')
  const lines = (await exists(machine)) ? [await readFile(machine, 'utf8')] : []
  const authorities = [await npmSetting('cafile'), process.env['NODE_EXTRA_CA_CERTS'] ?? '']
  for (const file of authorities)
    if (await exists(file)) {
      mounts.set(file, await realpath(file))
      lines.push(`cafile=${file}`)
      break
    }
  const settings = join(directory, 'npmrc')
  await writeFile(settings, `${lines.join('\n')}\n`)
  mounts.set('/usr/local/etc/npmrc', settings)
  return mounts
}

/** The mirror of Debian that apt uses here, likewise: the fixture image knows none. */
export async function aptSettings(directory: string): Promise<BuildMounts> {
  const sources = join(directory, 'sources.list')
  await writeFile(sources, `deb ${await findMirror()} ${suite} main\n`)
  return new Map([['/etc/apt/sources.list', sources]])
}

async function npmSetting(name: string): Promise<string> {
  return (await exec('npm', ['config', 'get', name], { cwd: repository })).trim()
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => path.startsWith('/'),
    () => false,
  )
}
