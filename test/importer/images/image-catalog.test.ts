import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import { DirectoryImageCatalog } from '../../../src/importer/images/directory-image-catalog.ts'
import { findImage } from '../../../src/importer/images/find-image.ts'
import type { WholeImageRecord } from '../../../src/importer/images/image-catalog.ts'
import { chainIdsOf } from '../../../src/storage/chain-id.ts'
import { digestOf, hexOf, parseDiffId } from '../../../src/storage/digest.ts'
import { listed } from '../../support/image-records.ts'

function record(seed: string, ...names: string[]): WholeImageRecord {
  const digest = digestOf(Buffer.from(seed))
  const diffId = parseDiffId(digest)
  return {
    names,
    manifestDigest: digest,
    configDigest: digest,
    platform: { os: 'linux', architecture: 'amd64' },
    layers: chainIdsOf([diffId]).map(chainId => ({ chainId, diffId, blob: digest, size: 3 })),
    config: '{"os":"linux"}',
    importedAt: new Date('2026-01-02T03:04:05.678Z'),
  }
}

describe('DirectoryImageCatalog', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-catalog-'))
  })
  afterEach(async () => await rm(directory, { recursive: true }))

  it('gives back what was put, also after a restart', async () => {
    const one = record('1', 'localhost:5000/a:1')
    await new DirectoryImageCatalog(directory).put(one)
    assert.deepEqual(await new DirectoryImageCatalog(directory).list(), [listed(one)])
  })

  it('catalog-memory: lists many large configs without keeping them, and reads the one that is wanted', async () => {
    const large = Array.from({ length: 4 }, (_, index) => {
      const filler = String(index).repeat(1024 * 1024)
      return { ...record(`large ${index}`, `x/${index}:1`), config: JSON.stringify({ os: 'linux', filler }) }
    })
    const writer = new DirectoryImageCatalog(directory)
    for (const one of large) await writer.put(one)
    const catalog = new DirectoryImageCatalog(directory)
    assert.deepEqual(await catalog.list(), large.map(listed))
    for (const one of large) assert.deepEqual(await catalog.whole(one), one)
    const [first] = large
    assert.ok(first)
    await writer.put(record('other', ...first.names))
    assert.deepEqual(await catalog.whole(first), { ...first, names: [] })
    await writer.delete(first.manifestDigest)
    await assert.rejects(catalog.whole(first), error => isDomainError(error, 'not_found'))
  })

  it('lists in the order of names and forgets what is deleted', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await catalog.put(record('1', 'x/b:1'))
    await catalog.put(record('2', 'x/a:1'))
    assert.deepEqual(
      (await catalog.list()).map(({ names }) => names[0]),
      ['x/a:1', 'x/b:1'],
    )
    await catalog.delete(record('2').manifestDigest)
    await catalog.delete(record('2').manifestDigest)
    assert.deepEqual(
      (await catalog.list()).map(({ names }) => names[0]),
      ['x/b:1'],
    )
  })

  it('sees at once what others have changed', async () => {
    const [ours, theirs] = [new DirectoryImageCatalog(directory), new DirectoryImageCatalog(directory)]
    const one = record('1', 'x/a:1')
    await ours.put(one)
    assert.deepEqual(await ours.list(), [listed(one)])
    for (let round = 2; round < 30; round += 1) {
      await theirs.put(record('1', `x/a:${round}`))
      const [seen] = await ours.list()
      assert.equal(seen?.names.length, round)
    }
    await theirs.delete(one.manifestDigest)
    assert.deepEqual(await ours.list(), [])
    await theirs.put(one)
    assert.deepEqual(await ours.list(), [listed(one)])
  })

  it('passes over a damaged document, tells of it once, and takes its image again', async () => {
    const told: string[] = []
    const catalog = new DirectoryImageCatalog(directory, { onDamaged: message => told.push(message) })
    const [kept, spoiled] = [record('kept', 'x/a:1'), record('spoiled', 'x/b:1')]
    await catalog.put(kept)
    await catalog.put(spoiled)
    const path = join(directory, `${hexOf(spoiled.manifestDigest)}.json`)
    for (const text of ['', '{}', '{"version":1', 'null', JSON.stringify({ version: 2 })]) {
      await writeFile(path, text)
      told.length = 0
      assert.deepEqual(await catalog.list(), [listed(kept)])
      assert.deepEqual(await catalog.list(), [listed(kept)])
      assert.deepEqual(told, [`The image record ${path} is damaged and passed over; import its image again.`])
    }
    await catalog.put(spoiled)
    assert.deepEqual(await catalog.list(), [listed(kept), listed(spoiled)])
  })

  it('lets a name mean one image only, the last one', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await catalog.put(record('old', 'x/a:1', 'x/a:2'))
    await catalog.put(record('new', 'x/a:1'))
    const names = new Map((await catalog.list()).map(item => [item.manifestDigest, item.names]))
    assert.deepEqual(names.get(record('old').manifestDigest), ['x/a:2'])
    assert.deepEqual(names.get(record('new').manifestDigest), ['x/a:1'])
  })

  it('collects the names of one image', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await catalog.put(record('1', 'x/a:1'))
    await catalog.put(record('1', 'x/a:latest'))
    assert.deepEqual((await catalog.list())[0]?.names, ['x/a:1', 'x/a:latest'])
  })

  it('writes nothing when it is told what it knows', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await catalog.put(record('1', 'x/a:1'))
    const [name = ''] = await readdir(directory)
    const before = await stat(join(directory, name))
    await catalog.put({ ...record('1', 'x/a:1'), importedAt: new Date() })
    assert.equal((await stat(join(directory, name))).ino, before.ino)
  })

  it('sweeps what killed writers have left, and nothing that may still be written', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await catalog.put(record('1', 'x/a:1'))
    const [kept = ''] = await readdir(directory)
    await writeFile(join(directory, 'old.new'), '')
    await utimes(join(directory, 'old.new'), 0, 0)
    await writeFile(join(directory, 'young.new'), '')
    assert.equal(await catalog.sweep(), 1)
    assert.deepEqual((await readdir(directory)).toSorted(), [kept, 'young.new'].toSorted())
  })

  it('leaves only whole documents', async () => {
    const catalog = new DirectoryImageCatalog(directory)
    await Promise.all(['1', '2', '3'].map(seed => catalog.put(record(seed, `x/${seed}:1`))))
    assert.ok((await readdir(directory)).every(name => name.endsWith('.json')))
  })
})

describe('findImage', () => {
  const hub = record('hub', 'docker.io/library/debian:latest')
  const own = record('own', 'localhost:5000/debian:12')
  const records = [hub, own]

  it('finds by name as people write it, by digest, and by the beginning of its digits', () => {
    assert.equal(findImage(records, 'debian'), hub)
    assert.equal(findImage(records, 'localhost:5000/debian:12'), own)
    assert.equal(findImage(records, own.manifestDigest), own)
    assert.equal(findImage(records, own.manifestDigest.slice(7, 19)), own)
  })

  it('says what to do about an image that is not there', () => {
    assert.throws(
      () => findImage(records, 'localhost:5000/absent'),
      error =>
        isDomainError(error, 'not_found') && error.message.includes('varve import localhost:5000/absent'),
    )
  })

  it('does not guess from few digits', () => {
    assert.throws(() => findImage(records, own.manifestDigest.slice(7, 11)), /has not been imported/)
  })
})
