import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { adoptRegistry } from '../../../src/storage/adopt/adopt-registry.ts'
import type { AdoptReport } from '../../../src/storage/adopt/adopt-report.ts'
import { BucketLegacyStore } from '../../../src/storage/adopt/bucket-legacy-store.ts'
import { CopyingMover } from '../../../src/storage/adopt/copying-mover.ts'
import { DirectoryLegacyStore } from '../../../src/storage/adopt/directory-legacy-store.ts'
import { blobDataPath } from '../../../src/storage/adopt/legacy-layout.ts'
import { UsingMover } from '../../../src/storage/adopt/using-mover.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { adoptedNameOf, adoptedObjectKey } from '../../../src/storage/objects/keys.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { S3ObjectStore } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { legacyStoreContract } from '../../contract/legacy-store.ts'
import { LegacyFiles, layerPath, tagPath } from '../../support/legacy-files.ts'
import { startMantaProxy } from '../../support/manta-proxy.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type S3TestServer, skipWithoutS3, startS3Server } from '../../support/s3-server.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const kind = 'versitygw'
const skip = await skipWithoutS3(kind)
const app = parseRepositoryName('team/app')
const layer = Buffer.alloc(100_000, 'layer')

/** What the paths of the old registry begin with in the bucket. */
const rootOf = (directory: string): string => `${directory}/docker/registry/v2/`

async function upload(store: S3ObjectStore, directory: string, { files }: LegacyFiles): Promise<void> {
  for (const [path, bytes] of files) {
    const key = adoptedObjectKey(rootOf(directory) + path) ?? assert.fail(path)
    await store.put(key, bytes)
  }
}

const namesIn = async (store: S3ObjectStore): Promise<readonly string[]> =>
  (await Array.fromAsync(store.listNames(''))).map(({ name }) => name)

legacyStoreContract(
  'BucketLegacyStore',
  async files => {
    const server = await startS3Server(kind)
    const objects = await S3ObjectStore.open({ ...server, prefix: 'own/' })
    await upload(objects, 'very/old', files)
    const store = await BucketLegacyStore.open(objects, {
      name: 's3://bucket/very/old',
      directory: '/very/old/',
    })
    return { store, close: () => server.stop() }
  },
  { skip },
)

for (const profile of ['s3', 'manta'] as const)
  describe(`adoption within one bucket (${profile})`, { skip }, () => {
    const files = new LegacyFiles()
    const stack = new AsyncDisposableStack()
    let objects: S3ObjectStore
    let metadata: Metadata
    let blobs: ObjectBlobStore
    let names: readonly string[]
    before(async () => {
      const server = stack.use(await startS3Server(kind))
      const access: S3TestServer = profile === 'manta' ? stack.use(await startMantaProxy(server)) : server
      objects = stack.use(await S3ObjectStore.open({ ...access, prefix: 'own/', profile }))
      metadata = stack.use(await openSqliteMetadata(':memory:'))
      blobs = new ObjectBlobStore({ objects, metadata, presigner: objects })
      files.image(app, 'latest', [layer])
      files.image('other', 'latest', [layer])
      files.files.set(layerPath(app, digestOf(layer, 'sha512')), Buffer.from(digestOf(layer)))
      await upload(objects, 'old', files)
      names = await namesIn(objects)
    })
    after(() => stack.disposeAsync())

    const adopt = async (trust = false): Promise<AdoptReport> => {
      const from = await BucketLegacyStore.open(objects, { name: 's3://x/old', directory: 'old' })
      const otherwise = new CopyingMover(from, blobs)
      const mover = new UsingMover({ objects, metadata, prefix: from.prefix, otherwise, trust })
      return await adoptRegistry({ from, mover, metadata }, { parallel: 4, trust })
    }

    it('uses the objects that are there, and copies only what has two digests', async () => {
      const report = await adopt()
      assert.deepEqual(report.blobs, { shared: 0, used: 2, copied: 1, linked: 2, present: 0 })
      const added = (await namesIn(objects)).filter(name => !names.includes(name))
      assert.equal(added.length, 1)
      assert.match(added[0] ?? '', /^own\/blobs\//)
      const { objectKey } = await metadata.findBlob(app, digestOf(layer))
      assert.equal(adoptedNameOf(objectKey), rootOf('old') + blobDataPath(digestOf(layer)))
    })

    it('serves them, by URLs of the store as well', async () => {
      for (const digest of [digestOf(layer), digestOf(layer, 'sha512')]) {
        const { stream } = await blobs.repository(app).open(digest)
        assert.deepEqual(Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)), layer)
        const url = await blobs.repository(app).presign(digest, 60)
        const answer = await fetch(url ?? assert.fail())
        assert.deepEqual(Buffer.from(await answer.arrayBuffer()), layer)
      }
      assert.equal((await metadata.statManifest(app, parseReference('latest'))).size > 0, true)
    })

    it('lists no object of the old registry as one of ours, and sweeps none', async () => {
      assert.equal((await Array.fromAsync(objects.list(''))).length, 1)
      const later = new Date(Date.now() + 48 * 60 * 60 * 1000)
      await blobs.sweepUploads(later)
      assert.deepEqual(
        (await namesIn(objects)).filter(name => name.startsWith('old/')),
        names,
      )
    })

    it('changes nothing when it is done again', async () => {
      const { blobs: counts, manifests, tags } = await adopt()
      assert.deepEqual(counts, { shared: 0, used: 0, copied: 0, linked: 0, present: 5 })
      assert.deepEqual([manifests.adopted, tags.adopted], [0, 0])
    })

    it('reads what it uses, unless it is asked to trust', async () => {
      const damaged = new LegacyFiles()
      const bytes = Buffer.from('whole')
      damaged.image('damaged', 'latest', [bytes])
      damaged.files.set(blobDataPath(digestOf(bytes)), Buffer.from('other'))
      damaged.files.set(tagPath('damaged', 'cut'), Buffer.from('sha256:'))
      await upload(objects, 'old', damaged)
      const { problems } = await adopt()
      assert.deepEqual([problems.blob, problems.missing, problems.link], [1, 1, 1])
      assert.equal((await adopt(true)).blobs.used, 1)
      const digest = digestOf(bytes)
      const blob = await metadata.findBlob(parseRepositoryName('damaged'), digest)
      await metadata.quarantineBlob({ ...blob, kind: 'corrupt', detail: 'other bytes' })
      const again = await adopt(true)
      assert.deepEqual([again.blobs.used, again.problems.blob], [0, 1])
      assert.ok(await metadata.findFault(digest))
    })

    it('deletes the old object with the blob', async () => {
      const { objectKey } = await metadata.findBlob(app, digestOf(layer))
      await objects.delete([objectKey])
      assert.equal((await namesIn(objects)).includes(adoptedNameOf(objectKey) ?? ''), false)
    })
  })

describe('adoption between a bucket and somewhere else', { skip }, () => {
  const files = new LegacyFiles()
  const stack = new AsyncDisposableStack()
  let bucket: S3ObjectStore
  let directory: string
  before(async () => {
    const server = stack.use(await startS3Server(kind))
    bucket = stack.use(await S3ObjectStore.open(server))
    directory = stack.use(await temporaryDirectory()).path
    files.image(app, 'latest', [layer, Buffer.alloc(9_000_000, 'large')])
  })
  after(() => stack.disposeAsync())

  const pullAll = async (blobs: ObjectBlobStore): Promise<void> => {
    for (const bytes of [layer, Buffer.alloc(9_000_000, 'large')]) {
      const { stream } = await blobs.repository(app).open(digestOf(bytes))
      assert.equal(Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).equals(bytes), true)
    }
  }

  const adoptTo = async (
    objects: ObjectStore,
    from: DirectoryLegacyStore | BucketLegacyStore,
  ): Promise<AdoptReport> => {
    await using metadata = await openSqliteMetadata(':memory:')
    const blobs = new ObjectBlobStore({ objects, metadata })
    const mover = new CopyingMover(from, blobs)
    const report = await adoptRegistry({ from, mover, metadata }, { parallel: 2, trust: false })
    await pullAll(blobs)
    return report
  }

  it('copies from a bucket to a directory', async () => {
    await upload(bucket, 'old', files)
    const from = await BucketLegacyStore.open(bucket, { name: 's3://x/old', directory: 'old' })
    const report = await adoptTo(await FilesystemObjectStore.open(`${directory}/new`), from)
    assert.equal(report.blobs.copied, 3)
  })

  it('copies from a directory to a bucket', async () => {
    await files.write(`${directory}/old`)
    const report = await adoptTo(bucket, await DirectoryLegacyStore.open(`${directory}/old`))
    assert.equal(report.blobs.copied, 3)
    assert.equal((await Array.fromAsync(bucket.list(''))).length, 3)
  })

  it('finds no registry where there is none', async () => {
    await rejectsWith('not_found', BucketLegacyStore.open(bucket, { name: 's3://x', directory: 'elsewhere' }))
  })
})
