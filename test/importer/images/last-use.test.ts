import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DirectoryImageCatalog } from '../../../src/importer/images/directory-image-catalog.ts'
import { LastUse } from '../../../src/importer/images/last-use.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { imageRecord, listed } from '../../support/image-records.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const imported = new Date('2026-01-02T03:04:05.678Z')
const record = imageRecord('x/a:1', [layerOn(null, 'a')], imported)
const second = 1000
const minute = 60 * second

describe('LastUse', () => {
  let directory: TemporaryDirectory
  let now = 0
  const lastUse = () => new LastUse(directory.path, () => now)

  beforeEach(async () => {
    directory = await temporaryDirectory()
    now = imported.getTime()
  })
  afterEach(() => directory.remove())

  it('is the time of the import until the image is touched, and then that, after a restart too', async () => {
    assert.deepEqual(await lastUse().of(record), imported)
    now += 5 * minute
    await lastUse().touch(record.manifestDigest)
    assert.deepEqual(await lastUse().of(record), new Date(now))
  })

  it('counts an import that came after the last touch', async () => {
    await lastUse().touch(record.manifestDigest)
    const again = { ...record, importedAt: new Date(now + minute) }
    assert.deepEqual(await lastUse().of(again), again.importedAt)
  })

  it('writes once a minute at most, whoever touched it', async () => {
    const first = now
    await lastUse().touch(record.manifestDigest)
    now = first + minute - second
    await lastUse().touch(record.manifestDigest)
    assert.deepEqual(await lastUse().of(record), new Date(first))
    now = first + minute
    await lastUse().touch(record.manifestDigest)
    assert.deepEqual(await lastUse().of(record), new Date(now))
  })

  it('does not believe a marker of the future when the image is used again', async () => {
    now += 1000 * minute
    await lastUse().touch(record.manifestDigest)
    now -= 900 * minute
    await lastUse().touch(record.manifestDigest)
    assert.deepEqual(await lastUse().of(record), new Date(now))
  })

  it('takes any number of touches at once', async () => {
    const one = lastUse()
    await Promise.all(Array.from({ length: 100 }, () => one.touch(record.manifestDigest)))
    assert.deepEqual(await one.of(record), imported)
  })

  it('never fails, whatever the directory is', async () => {
    const file = join(directory.path, 'file')
    await writeFile(file, '')
    for (const place of [join(directory.path, 'absent'), file]) {
      const broken = new LastUse(place, () => now)
      await broken.touch(record.manifestDigest)
      assert.deepEqual(await broken.of(record), imported)
    }
  })

  it('leaves the catalog and its records alone', async () => {
    const catalog = new DirectoryImageCatalog(directory.path)
    await catalog.put(record)
    const [file = ''] = await readdir(directory.path)
    const before = await stat(join(directory.path, file))
    now += minute
    await lastUse().touch(record.manifestDigest)
    assert.deepEqual(await catalog.list(), [listed(record)])
    assert.equal(await catalog.sweep(), 0)
    assert.equal((await stat(join(directory.path, file))).mtimeMs, before.mtimeMs)
    assert.deepEqual(await lastUse().of(record), new Date(now))
  })

  it('is no use of an image that another one takes over its name', async () => {
    const catalog = new DirectoryImageCatalog(directory.path)
    await catalog.put(record)
    await catalog.put({ ...imageRecord('x/b:1', [layerOn(null, 'b')]), names: ['x/a:1'] })
    const [nameless] = (await catalog.list()).filter(({ names }) => names.length === 0)
    assert.ok(nameless)
    assert.deepEqual(await lastUse().of(nameless), imported)
  })

  it('forgets images that are gone, and touches no other file', async () => {
    const other = imageRecord('x/b:1', [layerOn(null, 'b')])
    now += minute
    await lastUse().touch(record.manifestDigest)
    await lastUse().touch(other.manifestDigest)
    await writeFile(join(directory.path, 'something'), '')
    assert.equal(await lastUse().forgetOthers([record]), 1)
    assert.equal(await lastUse().forgetOthers([record]), 0)
    assert.deepEqual(await lastUse().of(record), new Date(now))
    assert.deepEqual(await lastUse().of(other), other.importedAt)
    assert.equal((await readdir(directory.path)).length, 2)
  })
})
