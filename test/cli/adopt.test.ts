import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { AdoptReport } from '../../src/storage/adopt/adopt-report.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { ImagePusher } from '../support/image-pusher.ts'
import { type OldContent, pushOldContent } from '../support/old-content.ts'
import { exec } from '../support/process.ts'
import { skipWithout } from '../support/programs.ts'
import { type Ran, runVarve } from '../support/run-varve.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const nothingNew = { adopted: 0, moved: 0, copiedBytes: 0 }

describe('varve adopt of a directory of docker-registry', {
  skip: await skipWithout('docker-registry'),
}, () => {
  let directory: TemporaryDirectory
  let old: string
  let content: OldContent
  let expected: Map<string, string>
  /** Of the whole old directory. */
  let fingerprint: string
  let report: AdoptReport
  before(async () => {
    directory = await temporaryDirectory()
    old = join(directory.path, 'old')
    const registry = await startDockerRegistry(old)
    try {
      const pusher = new ImagePusher(registry.url)
      content = await pushOldContent(pusher)
      expected = await pusher.inventory()
    } finally {
      await registry.stop()
    }
    fingerprint = await fingerprintOf(old)
  })
  after(() => directory.remove())

  const data = (name: string): string => join(directory.path, name)
  const adopt = (name: string, ...more: readonly string[]): Promise<Ran> =>
    runVarve(['adopt', '--from', `filesystem:${old}`, '--data', data(name), ...more])

  it('adopts fifty images without a copy, and changes nothing in the old directory', async () => {
    const ran = await adopt('data')
    assert.equal(ran.code, 0, ran.stdout + ran.stderr)
    report = reportOf(ran)
    assert.ok(content.images >= 50)
    assert.ok(report.manifests.adopted >= content.images)
    assert.equal(report.blobs.copied, 0)
    assert.deepEqual(report.ignored, { uploads: 2, staleLinks: 0 })
    assert.equal(await fingerprintOf(old), fingerprint)
  })

  it('serves every image with its old digest, byte for byte, and the referrers that nobody listed before', async () => {
    await using registry = await serveRegistry(data('data'))
    const pusher = new ImagePusher(registry.url)
    assert.deepEqual(await pusher.inventory(), expected)

    const { repository, subject, digests } = content.referrers
    const { bytes } = await pusher.client.send('GET', `/v2/${repository}/referrers/${subject}`)
    const index = JSON.parse(bytes.toString()) as { manifests: { digest: string; artifactType: string }[] }
    assert.deepEqual(new Set(index.manifests.map(({ digest }) => digest)), new Set(digests))
    assert.ok(index.manifests.some(({ artifactType }) => artifactType === 'application/vnd.example.sbom'))

    for (const name of content.deleted) {
      const [from = '', tag = ''] = name.split(':')
      assert.equal((await pusher.getManifest(from, tag)).status, 404)
    }
    assert.equal((await pusher.repositories()).includes('uploads/only'), false)
  })

  it('changes nothing when it is run again', async () => {
    const ran = await adopt('data')
    assert.equal(ran.code, 0)
    assert.deepEqual(newIn(reportOf(ran)), nothingNew)
    assert.equal(reportOf(ran).manifests.present, report.manifests.adopted)
  })

  it('shares the bytes with the old directory, and outlives it', async () => {
    const objects = await filesBelow(join(data('data'), 'registry/objects'))
    assert.equal(objects.length, report.blobs.shared)
    for (const path of objects) assert.equal((await stat(path)).nlink, 2, path)
  })

  it('finishes what kill -9 has cut off, and leaks nothing', async () => {
    let killed = 0
    for (const enough of [0, 2, 10, 20]) {
      const { code } = await runVarve(
        ['adopt', '--from', `filesystem:${old}`, '--data', data('killed'), '--json'],
        child => {
          let lines = 0
          child.stdout?.on('data', (chunk: Buffer) => {
            lines += chunk.toString().split('\n').length - 1
            if (lines > enough) child.kill('SIGKILL')
          })
        },
      )
      if (code === null) killed += 1
    }
    assert.ok(killed > 0, 'it never lived long enough')
    const ran = await adopt('killed')
    assert.equal(ran.code, 0, ran.stdout)
    {
      await using registry = await serveRegistry(data('killed'))
      assert.deepEqual(await new ImagePusher(registry.url).inventory(), expected)
    }
    const root = join(data('killed'), 'registry')
    const objects = await FilesystemObjectStore.open(root)
    await using metadata = await openSqliteMetadata(join(root, 'varve.db'))
    const later = Date.now() + 25 * 60 * 60 * 1000
    const { failures } = await new ObjectBlobStore({ objects, metadata, now: () => later }).sweepUploads(
      new Date(later),
    )
    assert.deepEqual(failures, [])
    assert.equal((await Array.fromAsync(objects.list(''))).length, report.blobs.shared)
    assert.deepEqual(await readdir(join(root, 'staging')), [])
    assert.equal(await fingerprintOf(old), fingerprint)
  })

  it('brings what has changed over there, and takes back nothing that was pushed here', async () => {
    {
      await using registry = await serveRegistry(data('data'))
      await new ImagePusher(registry.url).image('solo', 'v2', { layers: [Buffer.from('pushed to varve')] })
    }
    const registry = await startDockerRegistry(old)
    try {
      const pusher = new ImagePusher(registry.url)
      await pusher.image('team/moved', 'latest', { layers: [Buffer.from('third')] })
      await pusher.image('team/new', 'latest', { layers: [Buffer.from('new')] })
      expected = await pusher.inventory()
    } finally {
      await registry.stop()
    }
    const ran = await adopt('data')
    assert.equal(ran.code, 0)
    const { tags, manifests } = reportOf(ran)
    assert.deepEqual([tags.adopted, tags.kept, manifests.adopted], [2, 1, 2])

    await using ours = await serveRegistry(data('data'))
    const found = await new ImagePusher(ours.url).inventory()
    for (const [place, what] of expected)
      if (!place.startsWith('solo ')) assert.equal(found.get(place), what, place)
    assert.notEqual(found.get('solo v2'), expected.get('solo v2'))
  })

  it('takes a registry whose garbage was collected for whole', async () => {
    await exec('docker-registry', ['garbage-collect', '--delete-untagged', join(old, 'config.yml')])
    const ran = await adopt('collected')
    assert.equal(ran.code, 0, ran.stdout)
    assert.ok(reportOf(ran).ignored.staleLinks > 0)
  })

  it('says in its exit code and in a line that something was left out', async () => {
    const tag = join(old, 'docker/registry/v2/repositories/team/new/_manifests/tags/latest/current/link')
    await writeFile(tag, 'sha256:')
    const ran = await adopt('damaged')
    assert.equal(ran.code, 1)
    assert.equal(reportOf(ran).problems.link, 1)
    const problem = linesOf(ran).find(({ type }) => type === 'problem')
    assert.equal(problem?.['repository'], 'team/new')
    assert.match(String(problem?.['message']), /^The tag latest is left out: /)
  })

  it('refuses what is no storage of a registry', async () => {
    for (const [from, code] of [
      ['elsewhere', 2],
      ['s3://', 2],
      [`filesystem:${directory.path}`, 3],
    ] as const) {
      const ran = await runVarve(['adopt', '--from', from, '--data', data('none')])
      assert.equal(ran.code, code, ran.stderr)
      assert.match(ran.stderr, /^varve: .+\.\n$/)
    }
  })
})

interface Line {
  readonly type: string
  readonly [name: string]: unknown
}

function linesOf({ stdout }: Ran): readonly Line[] {
  return stdout
    .trim()
    .split('\n')
    .map(text => JSON.parse(text) as Line)
}

function reportOf(ran: Ran): AdoptReport {
  const last = linesOf(ran).at(-1)
  assert.equal(last?.type, 'done', ran.stderr)
  return last as unknown as AdoptReport
}

function newIn({ manifests, tags, blobs, bytes }: AdoptReport): typeof nothingNew {
  return {
    adopted: manifests.adopted + tags.adopted,
    moved: blobs.shared + blobs.used + blobs.copied + blobs.linked,
    copiedBytes: bytes.copied,
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

/** Of all names and bytes. */
async function fingerprintOf(directory: string): Promise<string> {
  const hash = createHash('sha256')
  for (const path of await filesBelow(directory)) hash.update(path).update(await readFile(path))
  return hash.digest('hex')
}
