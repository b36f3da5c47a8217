import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { CreationTimes } from '../../../src/registry/mirror/creation-times.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { MirrorTraffic } from '../../../src/registry/mirror/mirror-traffic.ts'
import { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import type { MirrorRunEnd, MirrorTarget } from '../../../src/registry/mirror/run-job.ts'
import { runMirrorJob } from '../../../src/registry/mirror/run-mirror-job.ts'
import { defaultBlobStoreSettings } from '../../../src/storage/blobs/blob-store-parts.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { type Digest, hexOf } from '../../../src/storage/digest.ts'
import { copyImage } from '../../../src/storage/images/copy-image.ts'
import type { ImageRegistry } from '../../../src/storage/images/image-repository.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'
import type { RemoteRequest } from '../../../src/storage/remote/remote-registries.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { mirrorJob } from '../../support/mirror-run.ts'
import { skipWithout } from '../../support/programs.ts'
import { startRegistry } from '../../support/registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const emptyConfig = Buffer.from('{}')

/** Images of every form, one of them signed in both ways. Answers the digest of that. */
async function pushAll(url: string, hasReferrers: boolean): Promise<Digest> {
  const pusher = new ImagePusher(url)
  const layers = [Buffer.alloc(200_000, 'base'), Buffer.from('one')]
  const web = await pusher.image('acme/web', 'v1', { layers })
  await pusher.image('acme/web', 'docker', { form: 'docker', layers })
  const arm = await pusher.image('acme/web', undefined, { layers: [Buffer.from('arm64')] })
  await pusher.index('acme/web', 'multi', [web, arm])
  await pusher.image('acme/api', 'v1', { layers: [...layers, Buffer.from('api')] })
  const subject = { mediaType: web.mediaType, digest: web.digest, size: web.bytes.length }
  const signature = { layers: [Buffer.from('signature')], config: emptyConfig }
  await pusher.image('acme/web', `sha256-${hexOf(web.digest)}.sig`, signature)
  if (!hasReferrers) return web.digest
  const more = { subject, artifactType: 'application/vnd.cncf.notary.signature' }
  await pusher.image('acme/web', undefined, { layers: [Buffer.from('notation')], more })
  return web.digest
}

/** Digests by tag, for each repository. */
async function tagsIn(registry: ImageRegistry): Promise<Record<string, Record<string, string>>> {
  const found: Record<string, Record<string, string>> = {}
  for await (const name of registry.repositories()) {
    const repository = registry.repository(name)
    const tags: Record<string, string> = {}
    for await (const tag of repository.tags())
      tags[tag] = (await repository.stat({ kind: 'tag', tag })).digest
    found[name] = tags
  }
  return found
}

/** @param hasReferrers whether the registry has the API for them. */
function mirrorsFrom(
  what: string,
  skip: string | false,
  hasReferrers: boolean,
  start: (stack: AsyncDisposableStack) => Promise<string>,
): void {
  describe(`mirroring from ${what}`, { skip }, () => {
    const stack = new AsyncDisposableStack()
    let url = ''
    let signed: Digest
    let metadata: Metadata
    let own: OwnRegistry
    let registries: HttpRegistries
    before(async () => {
      url = await start(stack)
      signed = await pushAll(url, hasReferrers)
      const { path } = stack.use(await temporaryDirectory())
      metadata = stack.use(await openSqliteMetadata(join(path, 'varve.db')))
      const objects = await FilesystemObjectStore.open(join(path, 'objects'))
      const blobs = new ObjectBlobStore({ objects, metadata, settings: defaultBlobStoreSettings })
      own = new OwnRegistry({ blobs, metadata, mountsFrom: 'anywhere' })
      registries = stack.use(new HttpRegistries())
    })
    after(() => stack.disposeAsync())

    async function run(
      target: MirrorTarget,
      given: Record<string, unknown> = {},
    ): Promise<MirrorRunEnd & { readonly asked: readonly RemoteRequest[] }> {
      const asked: RemoteRequest[] = []
      const traffic = new MirrorTraffic({ request: one => asked.push(one), bytes: () => {} })
      const job = mirrorJob({ repositories: ['acme/*'], ...given })
      const id = newMirrorRunId(new Date())
      const begun = { id, job: parseMirrorJobName(job.name), startedAt: new Date() }
      await metadata.beginMirrorRun({ ...begun, trigger: 'command', by: null })
      const end = await runMirrorJob(job, {
        source: registries.open(new URL(url).host, { traffic }),
        target,
        records: metadata,
        traffic,
        creationTimes: new CreationTimes(),
        run: id,
        copyImage,
        pause: () => assert.fail('a pause'),
      })
      assert.equal(end.outcome, 'ok', end.reason)
      return { ...end, asked }
    }

    it('copies every image with its signatures, and the same bytes', async () => {
      const { totals } = await run(own)
      assert.equal(totals.copied, 4)
      assert.ok(totals.blobsMounted > 0)
      assert.deepEqual(await tagsIn(own), await tagsIn(registries.open(new URL(url).host)))
      const web = own.repository(parseRepositoryName('acme/web'))
      const types = (await Array.fromAsync(web.referrers(signed))).map(({ artifactType }) => artifactType)
      assert.deepEqual(types, hasReferrers ? ['application/vnd.cncf.notary.signature'] : [])
    })

    it('asks for the lists and one HEAD for each tag the second time', async () => {
      const { totals, asked } = await run(own)
      assert.deepEqual([totals.copied, totals.unchanged], [0, 4])
      assert.equal(asked.filter(({ method }) => method === 'HEAD').length, 4)
      const rest = asked.filter(({ method }) => method !== 'HEAD').map(({ what }) => what)
      assert.deepEqual(rest.sort(), ['catalog', 'tags', 'tags'])
    })

    it('prunes what the source has no more', async () => {
      const only = { repositories: ['acme/api'], name: 'pruning' }
      const api = own.repository(parseRepositoryName('acme/api'))
      const [v1, v2, v3, v4] = ['v1', 'v2', 'v3', 'v4'].map(parseTag)
      if (v1 === undefined || v2 === undefined || v3 === undefined || v4 === undefined) assert.fail()
      const image = await api.get({ kind: 'tag', tag: v1 })
      await new ImagePusher(url).manifest('acme/api', v2, Buffer.from(image.bytes), image.mediaType)
      await run(own, only)
      await api.putManifest(image, [v3, v4])
      const prune = { mode: 'delete', maxPercent: 50 }
      assert.equal((await run(own, { ...only, prune })).totals.deleted, 2)
      assert.deepEqual((await Array.fromAsync(api.tags())).sort(), ['v1', 'v2'])
    })

    it('copies to a registry elsewhere', async () => {
      await using elsewhere = await startRegistry()
      const target = registries.open(new URL(elsewhere.url).host)
      const { totals } = await run(target, {
        target: { registry: target.label, prefix: 'copies/' },
        name: 'elsewhere',
        tags: { names: ['v1'] },
      })
      assert.equal(totals.copied, 2)
      const tags = await tagsIn(target)
      assert.deepEqual(Object.keys(tags).sort(), ['copies/acme/api', 'copies/acme/web'])
      assert.equal(tags['copies/acme/web']?.['v1'], signed)
      assert.ok(totals.blobsMounted > 0, 'nothing was mounted')
    })
  })
}

mirrorsFrom('another Varve', false, true, async stack => stack.use(await startRegistry()).url)

mirrorsFrom('docker-registry', await skipWithout('docker-registry'), false, async stack => {
  const { path } = stack.use(await temporaryDirectory())
  const registry = await startDockerRegistry(path)
  stack.defer(() => registry.stop())
  return registry.url
})
