import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('FilesystemObjectStore as FileTaker', () => {
  let directory: TemporaryDirectory
  let objects: FilesystemObjectStore
  before(async () => {
    directory = await temporaryDirectory()
    objects = await FilesystemObjectStore.open(join(directory.path, 'store'))
  })
  after(() => directory.remove())

  it('gives a file one more name', async () => {
    const path = join(directory.path, 'file')
    await writeFile(path, 'bytes')
    const key = newObjectKey()
    assert.equal(await objects.takeFile(key, path), true)
    assert.equal((await objects.head(key)).size, 5)
    assert.equal((await stat(path)).nlink, 2)

    await rm(path)
    const { stream } = await objects.get(key)
    assert.equal(Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).toString(), 'bytes')
    assert.deepEqual(
      (await Array.fromAsync(objects.list(''))).map(info => info.key),
      [key],
    )
  })

  it('leaves a file that it does not own in any way', async () => {
    const path = join(directory.path, 'stays')
    await writeFile(path, 'bytes')
    const key = newObjectKey()
    await objects.takeFile(key, path)
    await objects.delete([key])
    assert.equal((await stat(path)).nlink, 1)
  })

  it('does nothing where only a copy would do', async context => {
    const memory = '/dev/shm'
    const there = await stat(memory).catch(() => undefined)
    if (there === undefined || there.dev === (await stat(directory.path)).dev)
      return context.skip(`${memory} is no other file system here`)
    const elsewhere = await mkdtemp(join(memory, 'varve-test-'))
    try {
      const path = join(elsewhere, 'file')
      await writeFile(path, 'bytes')
      const key = newObjectKey()
      assert.equal(await objects.takeFile(key, path), false)
      await rejectsWith('not_found', objects.head(key))
      assert.deepEqual(await readdir(join(directory.path, 'store/staging')), [])
    } finally {
      await rm(elsewhere, { recursive: true })
    }
  })

  it('tells of a file that is not there', async () => {
    await rejectsWith('not_found', objects.takeFile(newObjectKey(), join(directory.path, 'absent')))
  })
})
