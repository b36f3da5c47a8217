import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { imageManifestOf } from '../../../src/importer/smartos/image-manifest.ts'
import { ImgadmDatabase } from '../../../src/importer/smartos/imgadm-database.ts'
import { imgadmDirectoryOf } from '../../../src/importer/smartos/smartos-host.ts'
import { parseDiffId, parseDigest } from '../../../src/storage/digest.ts'
import { failsWith } from '../../contract/chain-store/suite.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const manifest = imageManifestOf({
  name: undefined,
  config: {
    os: 'linux',
    architecture: 'amd64',
    diffIds: [parseDiffId(`sha256:${'c'.repeat(64)}`)],
    process: {},
  },
  blobs: [parseDigest(`sha256:${'a'.repeat(64)}`)],
  importedAt: new Date('2026-02-01T00:00:00Z'),
})
const { uuid } = manifest
/** As imgadm has it of an image that it has installed itself. */
const theirs = JSON.stringify({ manifest: { v: 2, uuid, tags: { 'docker:repo': 'web' } }, zpool: 'zones' })

describe("imgadm's database", () => {
  it('gets records whole, in a directory that is made when it is missing', async () => {
    await using place = await temporaryDirectory()
    const directory = join(place.path, 'var/imgadm')
    const database = new ImgadmDatabase(directory)
    assert.deepEqual(await database.list('zones'), [])
    await database.delete('zones', uuid)
    await database.put('zones', manifest)
    await database.put('zones', manifest)
    assert.deepEqual(await readdir(join(directory, 'images')), [`zones-${uuid}.json`])
    const text = await readFile(join(directory, `images/zones-${uuid}.json`), 'utf8')
    assert.deepEqual(JSON.parse(text), { manifest, zpool: 'zones' })
    assert.deepEqual(await database.list('zones'), [uuid])
    assert.deepEqual(await database.list('tank'), [])
    await database.delete('zones', uuid)
    assert.deepEqual(await readdir(join(directory, 'images')), [])
  })

  it("keeps imgadm's own records, and what is none", async () => {
    await using place = await temporaryDirectory()
    const images = join(place.path, 'images')
    await mkdir(images)
    const path = join(images, `zones-${uuid}.json`)
    const database = new ImgadmDatabase(place.path)
    for (const text of [theirs, '{"manifest"', 'null', '']) {
      await writeFile(path, text)
      await writeFile(join(images, 'zones-notes.json'), text)
      assert.deepEqual(await database.list('zones'), [])
      await database.delete('zones', uuid)
      assert.equal(await readFile(path, 'utf8'), text)
    }
    // But for an image that is not installed, one of ours takes its place.
    await database.put('zones', manifest)
    assert.deepEqual(await database.list('zones'), [uuid])
  })

  it('says what is in the way', async () => {
    await using place = await temporaryDirectory()
    await writeFile(join(place.path, 'images'), '')
    await assert.rejects(new ImgadmDatabase(place.path).put('zones', manifest), failsWith('conflict'))
  })

  it('is where it is configured, and where SmartOS has it, and nowhere else', () => {
    const smartos = { type: 'SunOS', version: 'joyent_20260108T002043Z' }
    assert.equal(imgadmDirectoryOf(undefined, smartos), '/var/imgadm')
    assert.equal(imgadmDirectoryOf('/elsewhere', smartos), '/elsewhere')
    const others = [
      { type: 'SunOS', version: 'omnios-r151054-0e1f2a3b4c' },
      { type: 'Linux', version: 'joyent_20260108T002043Z' },
    ]
    for (const host of others) assert.equal(imgadmDirectoryOf(undefined, host), undefined)
    assert.equal(imgadmDirectoryOf('/elsewhere', { type: 'Linux', version: '' }), '/elsewhere')
  })
})
