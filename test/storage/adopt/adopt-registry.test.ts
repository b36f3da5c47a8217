import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { blobDataPath } from '../../../src/storage/adopt/legacy-layout.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { maxManifestBytes } from '../../../src/storage/manifest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { DomainError } from '../../../src/errors.ts'
import { type Adopted, type AdoptionTarget, adoptionTarget } from '../../support/adoption.ts'
import { interceptObjects } from '../../support/intercepted.ts'
import { LegacyFiles, layerPath, revisionPath, tagPath } from '../../support/legacy-files.ts'
import { exec } from '../../support/process.ts'
import { indexOf, manifestOf } from '../../support/registry-client.ts'
import { rejectsWith } from '../../support/rejects.ts'

const app = parseRepositoryName('team/app')
const layer = Buffer.from('a layer')

async function targetOf(files: LegacyFiles): Promise<AdoptionTarget> {
  const target = await adoptionTarget()
  await files.write(target.old)
  return target
}

function kindsOf({ report }: Adopted): Record<string, number> {
  return Object.fromEntries(Object.entries(report.problems).filter(([, count]) => count > 0))
}

async function bytesOf({ blobs }: AdoptionTarget, digest: Digest): Promise<Buffer> {
  const { stream } = await blobs.repository(app).open(digest)
  return Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>))
}

const statOf = ({ metadata }: AdoptionTarget, reference: string) =>
  metadata.statManifest(app, parseReference(reference))

describe('adoption of a directory', () => {
  it('puts children before parents, at any depth, and cached layers in an index', async () => {
    const files = new LegacyFiles()
    files.layer(app, layer)
    const image = manifestOf(Buffer.from('{}'), [layer])
    files.image(app, 'one', [layer])
    const inner = indexOf([
      [image, mediaTypes.ociManifest],
      [layer, 'application/vnd.oci.image.layer.v1.tar'],
    ])
    const outer = indexOf([[inner, mediaTypes.ociIndex]])
    files.manifest(app, outer, 'outer')
    files.manifest(app, inner)
    await using target = await targetOf(files)
    const seen: string[] = []
    const put = target.metadata.putManifest.bind(target.metadata)
    target.metadata.putManifest = async (...args) => {
      seen.push(args[1].digest)
      await put(...args)
    }
    const { report, problems } = await target.adopt()
    assert.deepEqual(problems, [])
    assert.deepEqual(seen, [digestOf(image), digestOf(inner), digestOf(outer)])
    assert.deepEqual(report.tags, { adopted: 2, present: 0, kept: 0 })
    assert.equal((await statOf(target, 'outer')).mediaType, mediaTypes.ociIndex)
  })

  it('leaves out schema 1 with its tags, signed or not, and adopts the rest', async () => {
    const files = new LegacyFiles()
    files.image(app, 'fine', [layer])
    const plain = { schemaVersion: 1, name: 'team/app', tag: 'old', architecture: 'amd64', fsLayers: [] }
    files.manifest(app, Buffer.from(JSON.stringify(plain)), 'old')
    const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    files.manifest(app, Buffer.from(JSON.stringify({ ...plain, mediaType, signatures: [{}] })), 'older')
    await using target = await targetOf(files)
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), { schema1: 2, tag: 2 })
    assert.equal(adopted.report.manifests.adopted, 1)
    assert.match(adopted.problems[0]?.message ?? '', /schema 1/)
    await statOf(target, 'fine')
    await rejectsWith('not_found', statOf(target, 'old'))
  })

  it('keeps a manifest whose layers are gone, and says so each time', async () => {
    const files = new LegacyFiles()
    const digest = files.image(app, 'broken', [layer])
    files.files.delete(blobDataPath(digestOf(layer)))
    await using target = await targetOf(files)
    for (const _ of ['first', 'second']) {
      const adopted = await target.adopt()
      assert.deepEqual(kindsOf(adopted), { missing: 1 })
      assert.ok(adopted.problems[0]?.message.includes(digestOf(layer)))
      assert.equal(adopted.report.ignored.staleLinks, 0)
    }
    assert.equal((await statOf(target, 'broken')).digest, digest)
  })

  it('adopts blobs that no manifest names, and does not mind links to blobs that nobody needs', async () => {
    const files = new LegacyFiles()
    const loose = files.layer(app, Buffer.from('loose'))
    const gone = files.layer(app, Buffer.from('gone'))
    files.files.delete(blobDataPath(gone))
    await using target = await targetOf(files)
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), {})
    assert.equal(adopted.report.ignored.staleLinks, 1)
    assert.equal((await bytesOf(target, loose)).toString(), 'loose')
  })

  it('never serves bytes that are not those of the digest', async () => {
    const files = new LegacyFiles()
    files.image(app, 'damaged', [layer])
    files.image(app, 'fine', [Buffer.from('another')])
    files.files.set(blobDataPath(digestOf(layer)), Buffer.from('A layer'))
    await using target = await targetOf(files)
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), { blob: 1, missing: 1 })
    await rejectsWith('not_found', target.metadata.findBlob(app, digestOf(layer)))
    assert.equal((await Array.fromAsync(target.objects.list(''))).length, 2, 'config and the other layer')

    files.files.set(blobDataPath(digestOf(layer)), layer)
    await files.write(target.old)
    assert.deepEqual(kindsOf(await target.adopt()), {})
    assert.deepEqual(await bytesOf(target, digestOf(layer)), layer)
  })

  it('believes in the bytes when it is asked to trust', async () => {
    const files = new LegacyFiles()
    files.image(app, 'damaged', [layer])
    files.files.set(blobDataPath(digestOf(layer)), Buffer.from('A layer'))
    await using target = await targetOf(files)
    assert.deepEqual(kindsOf(await target.adopt({ trust: true })), {})
  })

  it('believes nobody about a blob that was found damaged, which may share its bytes', async () => {
    const files = new LegacyFiles()
    files.image(app, 'damaged', [layer])
    const digest = digestOf(layer)
    files.files.set(blobDataPath(digest), Buffer.from('A layer'))
    await using target = await targetOf(files)
    await target.adopt({ trust: true })
    await target.metadata.quarantineBlob({
      ...(await target.metadata.findBlob(app, digest)),
      kind: 'corrupt',
      detail: 'other bytes',
    })
    assert.deepEqual(kindsOf(await target.adopt({ trust: true })), { blob: 1, missing: 1 })
    await rejectsWith('not_found', target.metadata.findBlob(app, digest))

    files.files.set(blobDataPath(digest), layer)
    await files.write(target.old)
    assert.deepEqual(kindsOf(await target.adopt({ trust: true })), {})
    assert.deepEqual(await bytesOf(target, digest), layer)
  })

  it('tells of manifests that are none', async () => {
    const files = new LegacyFiles()
    const good = files.image(app, 'good', [layer])
    files.manifest(app, Buffer.from('no JSON'), 'text')
    files.manifest(app, Buffer.from('{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}'), 'both')
    files.manifest(app, Buffer.alloc(maxManifestBytes + 1, ' '), 'large')
    const changed = files.manifest(app, Buffer.from('{"schemaVersion":2,"manifests":[]}'), 'changed')
    files.files.set(blobDataPath(changed), Buffer.from('{"schemaVersion":2,"manifests": []}'))
    await using target = await targetOf(files)
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), { manifest: 4, tag: 4 })
    assert.equal((await statOf(target, 'good')).digest, good)
  })

  it('tells of links that were not written whole', async () => {
    const files = new LegacyFiles()
    const digest = files.image(app, 'latest', [layer])
    const other = files.manifest(app, Buffer.from('{"schemaVersion":2,"manifests":[]}'))
    files.files.set(layerPath(app, digestOf(layer)), Buffer.alloc(0))
    files.files.set(revisionPath(app, other), Buffer.from(digest.slice(0, 20)))
    files.files.set(tagPath(app, 'empty'), Buffer.alloc(0))
    files.files.set(tagPath(app, 'path'), Buffer.from('../../../../etc/passwd'))
    files.files.set(tagPath(app, 'long'), Buffer.alloc(1000, 'a'))
    files.files.set(tagPath(app, 'nowhere'), Buffer.from(digestOf(Buffer.from('nowhere'))))
    await using target = await targetOf(files)
    assert.deepEqual(kindsOf(await target.adopt()), { blob: 1, missing: 1, link: 4, tag: 1 })
  })

  it('tells of names that nobody could pull', async () => {
    const files = new LegacyFiles()
    files.image('Team/App', 'latest', [layer])
    files.image(`${'a'.repeat(150)}/${'b'.repeat(150)}`, 'latest', [layer])
    files.image(app, 'bad tag\u001b[2J', [layer])
    files.files.set('repositories/team/app/_layers/sha256/xyz/link', Buffer.from('x'))
    files.files.set('repositories/EMPTY/_uploads/1/startedat', Buffer.from('now'))
    await using target = await targetOf(files)
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), { name: 2, path: 2 })
    assert.deepEqual(await target.metadata.listRepositories({ limit: 9 }), [app])
  })

  it('finds blobs under their sha512, and manifests where release 2.1.0 put them', async () => {
    const files = new LegacyFiles()
    const long = digestOf(layer, 'sha512')
    const config = Buffer.from('{}')
    for (const bytes of [config, layer]) files.layer(app, bytes)
    files.files.set(layerPath(app, long), Buffer.from(digestOf(layer)))
    const manifest = manifestOf(config, [layer])
    files.layer(app, manifest)
    files.files.set(tagPath(app, 'ancient'), Buffer.from(digestOf(manifest)))
    await using target = await targetOf(files)
    for (const trust of [true, false]) assert.deepEqual(kindsOf(await target.adopt({ trust })), {})
    assert.deepEqual(await bytesOf(target, long), layer)
    assert.equal((await statOf(target, 'ancient')).digest, digestOf(manifest))
  })

  it('follows no symlink out of the directory, and waits for no pipe', async () => {
    const files = new LegacyFiles()
    const [linked, piped] = [Buffer.from('linked'), Buffer.from('piped')]
    files.image(app, 'latest', [layer, linked, piped])
    files.image('moved', 'latest', [layer])
    await using target = await targetOf(files)
    const v2 = join(target.old, 'docker/registry/v2')
    const outside = join(await mkdtemp(`${target.old}-outside-`), 'target')
    await writeFile(outside, linked)
    const dataOf = (bytes: Buffer) => join(v2, blobDataPath(digestOf(bytes)))
    await rm(dataOf(linked))
    await symlink(outside, dataOf(linked))
    await rm(dataOf(piped))
    await exec('mkfifo', [dataOf(piped)])
    await rename(join(v2, 'repositories/moved'), `${outside}-moved`)
    await symlink(`${outside}-moved`, join(v2, 'repositories/moved'))
    const adopted = await target.adopt()
    assert.deepEqual(kindsOf(adopted), { path: 1, blob: 2, missing: 1 })
    await rejectsWith('not_found', target.metadata.findBlob(app, digestOf(linked)))
    assert.deepEqual(await target.metadata.listRepositories({ limit: 9 }), [app])
  })

  it('copies what is on another file system', async context => {
    const memory = '/dev/shm'
    if (!(await isElsewhere(memory))) return context.skip(`${memory} is no other file system here`)
    const old = await mkdtemp(join(memory, 'varve-test-'))
    try {
      const files = new LegacyFiles()
      const digest = files.image(app, 'latest', [layer])
      files.image(app, 'damaged', [Buffer.from('whole')])
      files.files.set(blobDataPath(digestOf(Buffer.from('whole'))), Buffer.from('other'))
      await files.write(old)
      await using target = await adoptionTarget(old)
      const adopted = await target.adopt()
      assert.deepEqual(kindsOf(adopted), { blob: 1, missing: 1 })
      assert.deepEqual([adopted.report.blobs.copied, adopted.report.blobs.shared], [2, 0])
      assert.deepEqual(await bytesOf(target, digestOf(layer)), layer)
      assert.equal((await statOf(target, 'latest')).digest, digest)
      assert.equal((await Array.fromAsync(target.objects.list(''))).length, 2)
    } finally {
      await rm(old, { recursive: true })
    }
  })

  it('ends when it is aborted, and goes on the next time', async () => {
    const files = new LegacyFiles()
    files.image(
      app,
      'latest',
      Array.from({ length: 30 }, (_, index) => Buffer.from(`layer ${index}`)),
    )
    await using target = await targetOf(files)
    const controller = new AbortController()
    const aborted = target.adopt({ signal: controller.signal, onBlob: () => controller.abort() })
    await assert.rejects(aborted, { name: 'AbortError' })
    const { report } = await target.adopt()
    assert.ok(report.blobs.present > 0)
    assert.equal(report.blobs.present + report.blobs.shared, 31)
    assert.equal((await Array.fromAsync(target.objects.list(''))).length, 31)
  })

  it("ends when nothing can be stored, which is nobody's damage", async () => {
    const files = new LegacyFiles()
    files.image(app, 'latest', [layer])
    await using target = await targetOf(files)
    const full = new DomainError('no_space', 'The disk is full.', { resource: 'object' })
    const objects = {
      ...interceptObjects(target.objects, (_, call) => call()),
      takeFile: () => Promise.reject(full),
    }
    await rejectsWith('no_space', target.adopt({ objects }))
  })
})

async function isElsewhere(path: string): Promise<boolean> {
  const [there, here] = await Promise.all([stat(path).catch(() => undefined), stat(import.meta.dirname)])
  return there !== undefined && there.dev !== here.dev
}
