/**
 * The whole story on a real image and a real pool: push with docker and skopeo, pull back, import, clone for three
 * zones, compare with what umoci makes of the same image, import again, import a relative. Ends by itself and
 * leaves nothing behind but the cached fixture. `make demo`.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../../src/cli/format.ts'
import { AgentClient } from '../../src/importer/agent/agent-client.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { type FixtureImage, fixtureImage, fixturePrograms } from '../fixtures/make-image.ts'
import { compareTrees } from '../support/compare-trees.ts'
import { watchDaemons } from '../support/daemons.ts'
import { startDockerd } from '../support/dockerd.ts'
import { exec } from '../support/process.ts'
import { ensurePrograms } from '../support/programs.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { listTree } from '../support/tree.ts'
import { timePrecisionOf } from '../support/time-precision.ts'
import { umociUnpack } from '../support/umoci.ts'
import { type RunningVarve, startVarve } from '../support/varve.ts'
import { createPool, zfs } from '../support/zfs.ts'
import { say, timed } from './narrator.ts'

const zones = ['web1', 'web2', 'web3']

if (process.getuid?.() !== 0) {
  console.error('The demo makes a ZFS pool and starts dockerd, so it needs root.')
  process.exit(1)
}

const stopStartedDaemons = await watchDaemons()
try {
  await demo()
} finally {
  await stopStartedDaemons()
}

async function demo(): Promise<void> {
  say('Set-up')
  say.detail(
    'Debian packages: zfs-fuse, docker.io, skopeo, umoci, debootstrap, buildah (installed when missing)',
  )
  await ensurePrograms('zfs', 'dockerd', 'skopeo', ...fixturePrograms)
  const fixture = await timed('a Debian image with hand-made layers (kept for the next time)', fixtureImage)
  const { layers, branch, undefinedTimes } = fixture
  say.detail(`${layers.layers.length} layers, ${formatBytes(layers.size)} compressed, ${layers.digest}`)

  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const pool = await timed('a ZFS pool on a file', () => createPool({ size: 8 * 1024 ** 3 }))
  stack.defer(() => pool.destroy())
  const docker = await timed('dockerd', startDockerd)
  stack.defer(() => docker.stop())
  const varve = await timed('varve up: registry and agent', () =>
    startVarve(['--data', join(directory.path, 'data'), '--pool', pool.name]),
  )
  stack.defer(async () => {
    await varve.stop()
  })

  const pushed = `${varve.registry}/demo/docker:1`
  const copied = `${varve.registry}/demo/skopeo:1`
  const relative = `${varve.registry}/demo/relative:1`

  say('Push')
  const archive = join(directory.path, 'image.tar')
  await exec('skopeo', [
    'copy',
    '--quiet',
    `oci:${fixture.layout}:${layers.tag}`,
    `docker-archive:${archive}:${pushed}`,
  ])
  await timed('docker load', () => docker.docker('load', '--quiet', '--input', archive))
  await timed('docker push', () => docker.docker('push', '--quiet', pushed))
  await timed('skopeo copy to the registry', () => copyTo(fixture, layers.tag, copied))
  await copyTo(fixture, branch.tag, relative)

  say('Pull')
  const pushedDigest = await digestIn(pushed)
  await docker.docker('rmi', pushed)
  await timed('docker pull', () => docker.docker('pull', '--quiet', pushed))
  const repoDigests = await docker.docker('image', 'inspect', '--format', '{{join .RepoDigests " "}}', pushed)
  expectEqual('digest that docker pulled', repoDigests.trim().split('@')[1], pushedDigest)
  const back = join(directory.path, 'back')
  await mkdir(back)
  await timed('skopeo copy back', () =>
    exec('skopeo', ['copy', '--quiet', '--src-tls-verify=false', `docker://${copied}`, `oci:${back}:1`]),
  )
  expectEqual('digest that skopeo pushed', await digestIn(copied), layers.digest)
  expectEqual('digest that skopeo pulled', await rawDigest(`oci:${back}:1`), layers.digest)

  say('Import')
  const first = await timed('varve import', () => varve.run('import', copied))
  expectEqual('layers imported', importedIn(first), layers.layers.length)
  say.detail(`space: ${await used(pool.name, 'chains')}`)

  say('Clone')
  const roots: string[] = []
  for (const zone of zones) roots.push(await timed(`varve clone ${zone}`, () => cloneOf(varve, copied, zone)))
  say.detail(`in the agent: ${(await cloneTimes(varve.socket, copied)).join(', ')} ms`)
  say.detail(`space of all six clones: ${await used(pool.name, 'clones')}`)

  say('Compare with what umoci unpack makes of the same image')
  const oracle = await timed('umoci unpack', () =>
    umociUnpack(fixture.layout, layers.tag, join(directory.path, 'bundle')),
  )
  const expected = listTree(oracle)
  const mtime = await timePrecisionOf(pool.mountpoint)
  say.detail(`names, types, modes, owners, sizes, link targets, link groups, contents; times to ${mtime}`)
  for (const [index, root] of roots.entries()) {
    const differences = compareTrees(listTree(root), expected, { undefinedTimes, mtime })
    for (const difference of differences) say.detail(difference)
    expectEqual(`differences of ${zones[index] ?? ''} in ${expected.size} paths`, differences.length, 0)
  }

  say('Import again')
  expectEqual(
    'layers imported the second time',
    importedIn(await timed('varve import', () => varve.run('import', copied))),
    0,
  )
  const own = branch.layers.length - fixture.sharedLayers
  const related = await timed(`varve import of an image that shares ${fixture.sharedLayers} layers`, () =>
    varve.run('import', relative),
  )
  expectEqual('layers imported of it', importedIn(related), own)

  say('Clean up')
}

async function copyTo({ layout }: FixtureImage, tag: string, image: string): Promise<void> {
  await exec('skopeo', [
    'copy',
    '--quiet',
    '--dest-tls-verify=false',
    `oci:${layout}:${tag}`,
    `docker://${image}`,
  ])
}

async function digestIn(image: string): Promise<string> {
  return await rawDigest(`docker://${image}`)
}

async function rawDigest(image: string): Promise<string> {
  const arguments_ = [
    'inspect',
    '--format',
    '{{.Digest}}',
    ...(image.startsWith('docker:') ? ['--tls-verify=false'] : []),
    image,
  ]
  return (await exec('skopeo', arguments_)).trim()
}

async function cloneOf(varve: RunningVarve, image: string, zone: string): Promise<string> {
  return (JSON.parse(await varve.run('clone', '--json', image, zone)) as { rootfs: string }).rootfs
}

/** Without the start of a process: what a provisioner waits for. */
async function cloneTimes(socket: string, image: string): Promise<string[]> {
  await using client = new AgentClient(socket)
  const times: string[] = []
  for (const name of ['zone4', 'zone5', 'zone6']) {
    const started = performance.now()
    await client.clone(image, parseCloneName(name))
    times.push((performance.now() - started).toFixed(1))
  }
  return times
}

function importedIn(output: string): number {
  return (JSON.parse(lastLine(output)) as { imported: number }).imported
}

function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1) ?? ''
}

async function used(pool: string, part: 'chains' | 'clones'): Promise<string> {
  const bytes = await zfs('get', '-Hp', '-o', 'value', 'used', `${pool}/varve/${part}`)
  return formatBytes(Number(bytes))
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`)
  say.detail(`${what}: ${String(actual)}`)
}
