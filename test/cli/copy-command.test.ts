import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { exitCodes } from '../../src/cli/exit.ts'
import { type Digest, digestOf, hexOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { parsePlatform } from '../../src/storage/platform.ts'
import { freePort } from '../support/free-port.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const platforms = ['linux/amd64', 'linux/arm64'].map(parsePlatform)

describe('varve copy', () => {
  let source: TestRegistry
  let target: TestRegistry
  let directory: TemporaryDirectory
  let root: Digest
  let images: readonly Digest[]
  let signature: Digest
  before(async () => {
    ;[source, target, directory] = await Promise.all([startRegistry(), startRegistry(), temporaryDirectory()])
    const client = new RegistryClient(source.url)
    images = await Promise.all(platforms.map(() => pushImage(client)))
    root = await pushManifest(client, 'multi', mediaTypes.ociIndex, {
      manifests: images.map((digest, index) => ({
        mediaType: mediaTypes.ociManifest,
        digest,
        size: sizes.get(digest),
        platform: platforms[index],
      })),
    })
    signature = await pushImage(client, {
      mediaType: mediaTypes.ociIndex,
      digest: root,
      size: sizes.get(root),
    })
  })
  after(async () => {
    await Promise.all([source.stop(), target.stop(), directory.remove()])
  })

  const at = (registry: TestRegistry, name: string) => `${new URL(registry.url).host}/${name}`
  const recordsOf = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)

  it('copies an index with its signature from registry to registry, and then nothing', async () => {
    const [from, to] = [at(source, 'app:multi'), at(target, 'copies/app:multi')]
    const first = await runVarve(['copy', from, to])
    assert.equal(first.code, 0, first.stderr)
    const records = recordsOf(first.stdout)
    const { bytes, ...done } = records.at(-1) ?? {}
    assert.deepEqual(done, {
      type: 'done',
      source: from,
      target: to,
      digest: root,
      mediaType: mediaTypes.ociIndex,
      size: sizes.get(root),
      manifestsCopied: 4,
      manifestsAbsent: 0,
      blobsCopied: 6,
      blobsMounted: 0,
      blobsPresent: 0,
      referrersCopied: 1,
    })
    assert.ok(Number(bytes) > 3 * layerBytes)
    const states = records.flatMap(({ type, state }) => (type === 'blob' ? [state] : []))
    assert.deepEqual(
      states.toSorted(byText),
      [...Array(6).fill('begun'), ...Array(6).fill('copied')].toSorted(byText),
    )
    assert.ok(records.some(({ type, stored, size }) => type === 'bytes' && Number(stored) <= Number(size)))

    const client = new RegistryClient(target.url)
    assert.equal(
      (await client.send('GET', '/v2/copies/app/manifests/multi')).headers['docker-content-digest'],
      root,
    )
    const { manifests } = JSON.parse(
      (await client.send('GET', `/v2/copies/app/referrers/${root}`)).bytes.toString(),
    ) as { manifests: { digest: string }[] }
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [signature],
    )

    const again = recordsOf((await runVarve(['copy', from, to])).stdout).at(-1)
    assert.deepEqual(
      [again?.['manifestsCopied'], again?.['blobsCopied'], again?.['bytes'], again?.['digest']],
      [0, 0, 0, root],
    )
  })

  it('goes by way of a layout, and a sparse one is filled up later', async () => {
    const layout = join(directory.path, 'layout')
    const sparse = await runVarve([
      'copy',
      '--platform',
      'linux/amd64',
      at(source, 'app:multi'),
      `oci:${layout}`,
    ])
    assert.equal(sparse.code, 0, sparse.stderr)
    assert.equal(recordsOf(sparse.stdout).at(-1)?.['manifestsCopied'], 3)
    const rest = await runVarve(['copy', at(source, 'app:multi'), `oci:${layout}:multi`])
    assert.equal(recordsOf(rest.stdout).at(-1)?.['manifestsCopied'], 1)
    // The layout has one tag, so it need not be named.
    const back = await runVarve(['copy', `oci:${layout}`, at(target, 'back:v1')])
    assert.equal(back.code, 0, back.stderr)
    const done = recordsOf(back.stdout).at(-1)
    assert.deepEqual([done?.['digest'], done?.['manifestsCopied'], done?.['referrersCopied']], [root, 4, 1])
  })

  it('copies one platform in the place of the index, without signatures, and by digest', async () => {
    const single = ['--platform-mode', 'single', '--platform', 'linux/arm64', '--no-referrers']
    const { stdout } = await runVarve(['copy', ...single, at(source, 'app:multi'), at(target, 'single:v1')])
    assert.equal(recordsOf(stdout).at(-1)?.['digest'], images[1])
    const layout = `oci:${join(directory.path, 'by-digest')}`
    const byDigest = await runVarve(['copy', at(source, `app@${images[0]}`), layout])
    assert.equal(byDigest.code, 0, byDigest.stderr)
    const named = await runVarve(['copy', `${layout}@${images[0]}`, `${layout}:named`])
    assert.equal(recordsOf(named.stdout).at(-1)?.['digest'], images[0])
  })

  it('mounts within a registry', async () => {
    const { stdout } = await runVarve(['copy', at(source, 'app:multi'), at(source, 'elsewhere:v1')])
    const done = recordsOf(stdout).at(-1)
    assert.deepEqual([done?.['blobsMounted'], done?.['blobsCopied'], done?.['bytes']], [6, 0, 0])
  })

  it('takes what cosign has put under tags, when it is told to', async () => {
    const client = new RegistryClient(source.url)
    const old = await pushImage(client)
    const { bytes, headers } = await client.send('GET', `/v2/app/manifests/${old}`)
    const tag = `sha256-${hexOf(root)}.sig`
    await client.putManifest('app', tag, bytes, headers['content-type'] ?? '')
    const layout = `oci:${join(directory.path, 'cosign')}`
    const { stdout } = await runVarve(['copy', '--legacy-cosign-tags', at(source, 'app:multi'), layout])
    assert.equal(recordsOf(stdout).at(-1)?.['referrersCopied'], 2)
    const signed = await runVarve(['copy', `${layout}:${tag}`, at(target, 'signature:v1')])
    assert.equal(recordsOf(signed.stdout).at(-1)?.['digest'], old)
  })

  it('says what is wrong, in one sentence and with its own exit code', async () => {
    const somewhere = at(target, 'nowhere:v1')
    const file = join(directory.path, 'file')
    await writeFile(file, '')
    const cases = [
      [[at(source, 'app:absent'), somewhere], exitCodes.notFound],
      [['--platform', 'linux/s390x', at(source, 'app:multi'), somewhere], exitCodes.notFound],
      [['--platform', 'vax', at(source, 'app:multi'), somewhere], exitCodes.failed],
      [[`oci:${directory.path}/none`, somewhere], exitCodes.notFound],
      [[`127.0.0.1:${await freePort()}/app`, somewhere], exitCodes.unavailable],
      [['--src-credentials', 'nobody', at(source, 'app:multi'), somewhere], exitCodes.usage],
      [[at(source, 'app:multi'), `oci:${directory.path}`], exitCodes.conflict],
      [['--concurrency', '0', at(source, 'app:multi'), somewhere], exitCodes.usage],
      [[at(source, 'app:multi')], exitCodes.usage],
    ] as const
    const ends = await Promise.all(cases.map(async ([args]) => await runVarve(['copy', ...args])))
    for (const [index, [args, code]] of cases.entries()) {
      const { code: actual, stderr } = ends[index] ?? { code: null, stderr: '' }
      assert.equal(actual, code, `${args.join(' ')}: ${stderr}`)
      if (!stderr.startsWith('error:')) assert.match(stderr, /^varve: [^\n]*\.\n$/)
    }
  })
})

const layerBytes = 100_000
const sizes = new Map<Digest, number>()

async function pushImage(client: RegistryClient, subject?: object): Promise<Digest> {
  const blobs = [Buffer.from(JSON.stringify({ id: randomBytes(8).toString('hex') })), randomBytes(layerBytes)]
  const [config, layer] = await Promise.all(
    blobs.map(async bytes => ({ digest: await client.pushBlob('app', bytes), size: bytes.length })),
  )
  return await pushManifest(client, undefined, mediaTypes.ociManifest, {
    config: { mediaType: mediaTypes.ociConfig, ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
    ...(subject === undefined ? {} : { subject, artifactType: 'application/vnd.example.signature' }),
  })
}

async function pushManifest(
  client: RegistryClient,
  tag: string | undefined,
  mediaType: string,
  members: object,
): Promise<Digest> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...members }))
  const digest = digestOf(bytes)
  assert.equal((await client.putManifest('app', tag ?? digest, bytes, mediaType)).status, 201)
  sizes.set(digest, bytes.length)
  return digest
}

function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1
}
