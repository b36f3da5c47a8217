import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { keysIn } from '../../contract/object-store.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const run = promisify(execFile)
const mebibyte = 1024 * 1024

describe('FilesystemObjectStore on a full disk', () => {
  it('answers no_space to a put, and keeps nothing of it', async context => {
    await onSmallDisk(context, async (store, root) => {
      const kept = newObjectKey()
      await store.put(kept, randomBytes(mebibyte))
      await rejectsWith('no_space', store.put(newObjectKey(), randomBytes(8 * mebibyte)))
      assert.deepEqual(await keysIn(store), [kept])
      assert.deepEqual(await readdir(join(root, 'staging')), [])
      await store.put(newObjectKey(), randomBytes(mebibyte))
    })
  })

  it('answers no_space to a part, and loses none of the parts before', async context => {
    await onSmallDisk(context, async store => {
      const key = newObjectKey()
      const partSize = 2 * mebibyte
      const bodies = [randomBytes(partSize), randomBytes(1000)] as const
      const upload = await store.createMultipart(key, { partSize })
      const first = await upload.uploadPart(1, bodies[0])
      const filler = newObjectKey()
      await store.put(filler, randomBytes(mebibyte))
      await rejectsWith('no_space', upload.uploadPart(2, randomBytes(partSize)))
      await store.delete([filler])
      const second = await upload.uploadPart(2, bodies[1])
      await upload.complete([first, second])
      assert.ok((await buffer((await store.get(key)).stream)).equals(Buffer.concat(bodies)))
    })
  })
})

describe('FilesystemObjectStore', () => {
  it('says which directory it cannot use', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'taken')
    await writeFile(path, 'a file')
    await assert.rejects(FilesystemObjectStore.open(path), {
      code: 'unavailable',
      message: new RegExp(path),
    })
  })

  it('finds its objects again when it is opened again', async () => {
    await using directory = await temporaryDirectory()
    const key = newObjectKey()
    const root = join(directory.path, 'deep', 'er')
    await (await FilesystemObjectStore.open(root)).put(key, Buffer.from('still here'))
    const { stream } = await (await FilesystemObjectStore.open(root)).get(key)
    assert.equal((await buffer(stream)).toString(), 'still here')
  })

  it('builds no path from a token that it did not make', async () => {
    await using directory = await temporaryDirectory()
    const store = await FilesystemObjectStore.open(directory.path)
    for (const token of ['', '.', '..', '../objects', `${'0'.repeat(31)}/`, '0'.repeat(33), 'A'.repeat(32)])
      await rejectsWith('invalid', store.resumeMultipart(newObjectKey(), token, { partSize: 10 }))
  })

  it('reports an object that has become shorter while it is read', async () => {
    await using directory = await temporaryDirectory()
    const store = await FilesystemObjectStore.open(directory.path)
    const key = newObjectKey()
    await store.put(key, randomBytes(mebibyte))
    const { stream } = await store.get(key)
    await truncate(join(directory.path, 'objects', key), 1000)
    await rejectsWith('unavailable', buffer(stream))
  })

  it('takes no file for an object that is not named like one', async () => {
    await using directory = await temporaryDirectory()
    const store = await FilesystemObjectStore.open(directory.path)
    await writeFile(join(directory.path, 'objects', 'README'), 'by hand')
    assert.deepEqual(await keysIn(store), [])
  })
})

/** Runs a test on a disk of 4 MiB. */
async function onSmallDisk(
  context: TestContext,
  test: (store: FilesystemObjectStore, root: string) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory()
  const disk = join(directory.path, 'disk')
  await mkdir(disk)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'varve-test', disk])
  } catch (error) {
    context.skip(`needs the right to mount a tmpfs: ${String(error)}`)
    return
  }
  try {
    await test(await FilesystemObjectStore.open(disk), disk)
  } finally {
    await run('umount', ['--lazy', disk])
  }
}
