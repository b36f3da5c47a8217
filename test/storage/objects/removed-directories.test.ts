import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { newObjectKey, type ObjectKey } from '../../../src/storage/objects/keys.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const bytes = Buffer.from('content')

describe('FilesystemObjectStore whose directories were removed under it', () => {
  let directory: TemporaryDirectory
  let store: FilesystemObjectStore
  beforeEach(async () => {
    directory = await temporaryDirectory()
    store = await FilesystemObjectStore.open(directory.path)
  })
  afterEach(() => directory.remove())

  const path = (...names: readonly string[]) => join(directory.path, ...names)
  const assertStored = async (key: ObjectKey) =>
    assert.deepEqual(await buffer((await store.get(key)).stream), bytes)

  const ways: Readonly<Record<string, (key: ObjectKey) => Promise<unknown>>> = {
    'a put': key => store.put(key, bytes),
    'a put of what may be there': key => store.put(key, bytes, { ifAbsent: true }),
    'an upload in parts': async key => {
      const upload = await store.createMultipart(key, { partSize: 5 * 1024 * 1024 })
      await upload.complete([await upload.uploadPart(1, bytes)])
    },
    'a file that is taken': key => {
      writeFileSync(path('file'), bytes)
      return store.takeFile(key, path('file'))
    },
  }
  for (const [way, put] of Object.entries(ways)) {
    it(`${way} makes again those that it has made`, async () => {
      const key = newObjectKey()
      for (const gone of [join(path('objects'), key, '..'), path('objects', 'blobs')]) {
        await put(key)
        rmSync(gone, { recursive: true })
        await put(key)
        await assertStored(key)
        await store.delete([key])
      }
    })

    it(`${way} says which directory is gone again as soon as it is made`, async () => {
      // What a link leads to is not there, whatever is made.
      symlinkSync(path('nowhere', 'at', 'all'), path('objects', 'blobs'))
      const { message } = await rejectsWith('unavailable', put(newObjectKey()))
      assert.match(
        message,
        new RegExp(`The directory ${path('objects', 'blobs')}/.. of the object store is removed`),
      )
    })

    for (const gone of ['objects', 'staging'])
      if (gone === 'objects' || way !== 'a file that is taken')
        it(`${way} makes no "${gone}", whose disk may not be mounted, and goes on when it is there again`, async () => {
          const key = newObjectKey()
          await put(key)
          rmSync(path(gone), { recursive: true })
          for (const another of [key, newObjectKey()]) {
            const { message } = await rejectsWith('unavailable', put(another))
            assert.match(
              message,
              new RegExp(`The directory ${path(gone)} of the object store is gone; see whether`),
            )
            assert.equal(existsSync(path(gone)), false)
          }
          mkdirSync(path(gone))
          const later = newObjectKey()
          await put(later)
          await assertStored(later)
        })
  }
})
