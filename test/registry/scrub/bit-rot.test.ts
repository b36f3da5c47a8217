import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startRegistry } from '../../../src/cli/registry/start-registry.ts'
import { loadConfig } from '../../../src/config.ts'
import { Scrubber } from '../../../src/registry/scrub/scrubber.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import type { ObjectKey } from '../../../src/storage/objects/keys.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { S3ObjectStore } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { keepLog } from '../../support/log-lines.ts'
import { manifestOf, RegistryClient } from '../../support/registry-client.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../../support/s3-server.ts'
import { testScrubSettings } from '../../support/scrub.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const repositoryName = 'team/app'
const repository = parseRepositoryName(repositoryName)
const imagesCount = 60
const layersOfImage = 5
const damagedCount = 100

interface Pushed {
  readonly digest: Digest
  readonly bytes: Buffer
  readonly key: ObjectKey
  readonly image: number
}

type Damage = 'flip' | 'truncate' | 'lengthen' | 'swap' | 'delete'

/** Less is deleted than makes a scrub take the store for the wrong one. */
const kinds: readonly Damage[] = [
  ...Array<Damage>(35).fill('flip'),
  ...Array<Damage>(20).fill('truncate'),
  ...Array<Damage>(7).fill('lengthen'),
  ...Array<Damage>(20).fill('swap'),
  ...Array<Damage>(18).fill('delete'),
]

interface RottenRegistry {
  readonly client: RegistryClient
  readonly objects: ObjectStore
  readonly metadata: Metadata
}

async function withRegistry(
  server: S3TestServer | undefined,
  flags: Readonly<Record<string, unknown>>,
  work: (registry: RottenRegistry) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory()
  const storage = server && {
    'storage.driver': 's3',
    'storage.s3.bucket': server.bucket,
    'storage.s3.endpoint': server.endpoint,
    'storage.s3.region': server.region,
    'storage.s3.accessKeyId': server.credentials.accessKeyId,
    'storage.s3.secretAccessKey': server.credentials.secretAccessKey,
  }
  const { config } = loadConfig({
    environment: {},
    flags: {
      data: directory.path,
      'registry.address': '127.0.0.1:0',
      'registry.metricsAddress': 'off',
      ...storage,
      ...flags,
    },
  })
  await using registry = await startRegistry(config, keepLog().log)
  await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'))
  await using stack = new AsyncDisposableStack()
  const objects =
    server === undefined
      ? await FilesystemObjectStore.open(join(directory.path, 'registry'))
      : stack.use(await S3ObjectStore.open({ ...server, profile: 's3' }))
  await work({ client: new RegistryClient(registry.url), objects, metadata })
}

/** Small ones, which are cached, and larger ones. */
const sizeOf = (index: number): number => (index % 4 === 0 ? 90_000 : 200 + index)

async function pushAll({
  client,
  metadata,
}: RottenRegistry): Promise<{ all: Pushed[]; manifests: Buffer[] }> {
  const all: Pushed[] = []
  const manifests: Buffer[] = []
  const config = Buffer.from('{}')
  await client.pushBlob(repositoryName, config)
  for (let image = 0; image < imagesCount; image++) {
    const layers = Array.from({ length: layersOfImage }, (_, index) => randomBytes(sizeOf(index + image)))
    for (const bytes of layers) {
      const digest = await client.pushBlob(repositoryName, bytes)
      const { objectKey: key } = await metadata.findBlob(repository, digest)
      all.push({ digest, bytes, key, image })
    }
    const manifest = manifestOf(config, layers)
    manifests.push(manifest)
    assert.equal((await client.putManifest(repositoryName, `v${image}`, manifest)).status, 201)
  }
  return { all, manifests }
}

/** Every third, each by another kind of damage. */
async function damage(objects: ObjectStore, all: readonly Pushed[]): Promise<Pushed[]> {
  const chosen = all.filter((_, index) => index % 3 === 0).slice(0, damagedCount)
  for (const [index, { bytes, key }] of chosen.entries()) {
    const other = chosen[kinds[index - 1] === 'swap' && index % 2 === 1 ? index - 1 : index + 1]
    switch (kinds[index]) {
      case 'flip': {
        const flipped = Buffer.from(bytes)
        const at = (index * 7919) % bytes.length
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (index % 8))
        await objects.put(key, flipped)
        break
      }
      case 'truncate':
        await objects.put(key, bytes.subarray(0, Math.floor(bytes.length / 2)))
        break
      case 'lengthen':
        await objects.put(key, Buffer.concat([bytes, Buffer.alloc(1)]))
        break
      case 'swap':
        await objects.put(key, other?.bytes ?? assert.fail())
        break
      case 'delete':
      case undefined:
        await objects.delete([key])
    }
  }
  return chosen
}

async function scrub({ objects, metadata }: RottenRegistry) {
  const scrubber = new Scrubber({
    records: metadata,
    objects,
    holder: randomUUID(),
    settings: testScrubSettings,
  })
  for (;;) {
    const report = await scrubber.tick({ asked: { begins: true, takesAll: false, bytesPerSecond: 0 } })
    if (report.outcome !== 'elsewhere') return report
  }
}

async function faultsOf(metadata: Metadata): Promise<Digest[]> {
  return (await metadata.listFaults(undefined, 1000)).map(({ digest }) => digest)
}

async function rotsAndHeals(registry: RottenRegistry, redirects: boolean): Promise<void> {
  const { client, objects, metadata } = registry
  const { all, manifests } = await pushAll(registry)
  const path = (digest: Digest, name = repositoryName) => `/v2/${name}/blobs/${digest}`
  // So that the cache has what it takes.
  for (const { digest } of all)
    assert.equal((await client.send('GET', path(digest))).status, redirects ? 307 : 200)
  assert.equal((await scrub(registry)).corrupt, 0)
  const damaged = await damage(objects, all)
  const bad = damaged.map(({ digest }) => digest).sort()
  assert.equal(bad.length, damagedCount)

  const report = await scrub(registry)
  assert.deepEqual([report.outcome, report.corrupt, report.missing], ['done', 82, 18])
  assert.deepEqual(await faultsOf(metadata), bad)

  for (const { digest } of damaged) {
    const whole = await client.send('GET', path(digest))
    assert.deepEqual(
      [whole.status, whole.codes, whole.headers['location']],
      [404, ['BLOB_UNKNOWN'], undefined],
    )
    assert.match(whole.bytes.toString(), /was found damaged in the object store; push it again/)
    for (const range of ['bytes=0-9', 'bytes=-1', 'bytes=0-1,5-6'])
      assert.equal((await client.send('GET', path(digest), { headers: { range } })).status, 404)
    assert.equal(
      (await client.send('GET', path(digest), { headers: { 'if-none-match': `"${digest}"` } })).status,
      404,
    )
    assert.equal((await client.send('HEAD', path(digest))).status, 404)
    // It is not mounted: the client is asked for it.
    for (const from of [`&from=${repositoryName}`, '']) {
      const mount = await client.send('POST', `/v2/team/other/blobs/uploads/?mount=${digest}${from}`)
      assert.equal(mount.status, 202)
      const url = String(mount.headers['location'])
      assert.equal((await client.send('DELETE', url)).status, 204)
    }
  }
  const isBad = new Set(bad)
  for (const { digest, bytes } of all.filter(each => !isBad.has(each.digest))) {
    const { status, bytes: body } = await client.send('GET', path(digest))
    assert.equal(status, redirects ? 307 : 200)
    if (!redirects) assert.ok(body.equals(bytes))
  }
  assert.equal((await client.send('GET', `/v2/${repositoryName}/manifests/v0`)).status, 200)

  // As a client pushes: it asks for each layer, sends those that are not there, and then the manifest.
  const [first] = damaged
  const refused = await client.putManifest(
    repositoryName,
    'again',
    manifests[first?.image ?? 0] ?? assert.fail(),
  )
  assert.deepEqual([refused.status, refused.codes[0]], [400, 'MANIFEST_BLOB_UNKNOWN'])
  let pushed = 0
  for (const { digest, bytes } of all) {
    if ((await client.send('HEAD', path(digest))).status === 200) continue
    await client.pushBlob(repositoryName, bytes)
    pushed += 1
  }
  assert.equal(pushed, damagedCount)
  for (const [image, manifest] of manifests.entries())
    assert.equal((await client.putManifest(repositoryName, `v${image}`, manifest)).status, 201)
  assert.deepEqual(await faultsOf(metadata), [])
  for (const { digest, bytes, key } of all) {
    const { objectKey } = await metadata.findBlob(repository, digest)
    assert.equal(objectKey === key, !isBad.has(digest))
    const { status, bytes: body } = await client.send('GET', path(digest))
    assert.equal(status, redirects ? 307 : 200)
    if (!redirects) assert.ok(body.equals(bytes), digest)
  }
  const after = await scrub(registry)
  assert.deepEqual([after.corrupt, after.missing, after.healed], [0, 0, 0])
  assert.equal((await metadata.scrubState()).totals.healed, damagedCount)
}

describe('Bit rot in a hundred of three hundred objects', () => {
  it('is found, kept from everybody, and healed by a push, in a directory', async () => {
    await withRegistry(undefined, {}, registry => rotsAndHeals(registry, false))
  })

  for (const kind of ['versitygw', 'minio'] as const)
    it(`the same on ${kind}`, async context => {
      const reason = await skipWithoutS3(kind)
      if (reason !== false) return context.skip(reason)
      await using server = await startS3Server(kind)
      await withRegistry(server, {}, registry => rotsAndHeals(registry, false))
    })

  it('no URL of the store is given for it, where clients are redirected', async context => {
    const reason = await skipWithoutS3('versitygw')
    if (reason !== false) return context.skip(reason)
    await using server = await startS3Server('versitygw')
    await withRegistry(server, { 'storage.redirect': true }, registry => rotsAndHeals(registry, true))
  })

  it('is looked for at once where a reader comes upon it', async () => {
    await withRegistry(undefined, { 'storage.verifyReads': true }, async ({ client, objects, metadata }) => {
      for (const [size, kind] of [
        [100, 'flip'],
        [900_000, 'flip'],
        [100, 'truncate'],
        [100_000, 'delete'],
      ] as const) {
        const bytes = randomBytes(size)
        const digest = await client.pushBlob(repositoryName, bytes)
        const { objectKey } = await metadata.findBlob(repository, digest)
        if (kind === 'delete') await objects.delete([objectKey])
        else if (kind === 'truncate') await objects.put(objectKey, bytes.subarray(1))
        else {
          const flipped = Buffer.from(bytes)
          flipped[1] = (flipped[1] ?? 0) ^ 1
          await objects.put(objectKey, flipped)
        }
        const path = `/v2/${repositoryName}/blobs/${digest}`
        const read = await client.send('GET', path).catch(() => undefined)
        assert.ok(read === undefined || read.status === 503 || read.status === 404, String(read?.status))
        while ((await metadata.findFault(digest)) === undefined)
          await new Promise(resolve => setTimeout(resolve, 50))
        assert.equal((await client.send('GET', path)).status, 404)
        assert.equal(await client.pushBlob(repositoryName, bytes), digestOf(bytes))
        assert.ok((await client.send('GET', path)).bytes.equals(bytes))
      }
    })
  })
})
