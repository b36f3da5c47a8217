import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { blobDataPath, legacyPaths } from '../../src/storage/adopt/legacy-layout.ts'
import type { LegacyStore } from '../../src/storage/adopt/legacy-store.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { LegacyFiles } from '../support/legacy-files.ts'
import { rejectsWith } from '../support/rejects.ts'

export interface OpenedLegacyStore {
  readonly store: LegacyStore
  close(): Promise<void>
}

/** The executable half of {@link LegacyStore}. `open` gives one with these files below `docker/registry/v2`. */
export function legacyStoreContract(
  name: string,
  open: (files: LegacyFiles) => Promise<OpenedLegacyStore>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`${name} as LegacyStore`, { skip }, () => {
    const files = new LegacyFiles()
    const large = Buffer.alloc(700_000, 'large')
    const begun = Date.now()
    let opened: OpenedLegacyStore
    let store: LegacyStore
    before(async () => {
      for (const repository of ['a', 'a/1', 'a/b', 'z']) files.image(repository, 'latest', [large])
      files.blob(Buffer.alloc(0))
      opened = await open(files)
      store = opened.store
    })
    after(() => opened?.close())

    const listed = async (directory: string): Promise<string[]> =>
      (await Array.fromAsync(store.list(directory))).map(({ path }) => path)

    it('lists all files below a directory, in byte order', async () => {
      const expected = [...files.files.keys()]
        .filter(path => path.startsWith(legacyPaths.repositories))
        .sort()
      assert.deepEqual(await listed(legacyPaths.repositories), expected)
      assert.deepEqual(await listed('repositories/nothing/'), [])
    })

    it('tells the size of a file, and when it was written', async () => {
      for await (const entry of store.list(legacyPaths.repositories)) {
        assert.ok(entry.kind === 'file')
        assert.equal(entry.size, files.files.get(entry.path)?.length)
        // Some keep whole seconds, and clocks differ.
        assert.ok(Math.abs(entry.changedAt.getTime() - begun) < 3_600_000, entry.path)
      }
    })

    it('reads small files whole, and no others', async () => {
      for (const [path, bytes] of files.files)
        if (bytes.length < 1000)
          assert.deepEqual(Buffer.from(await store.read(path, { limit: bytes.length })), bytes)
      await rejectsWith('too_large', store.read(blobDataPath(digestOf(large)), { limit: large.length - 1 }))
    })

    it('opens files', async () => {
      const { size, stream } = await store.open(blobDataPath(digestOf(large)))
      assert.equal(size, large.length)
      assert.deepEqual(Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)), large)
    })

    it('tells what is absent', async () => {
      const path = blobDataPath(digestOf(Buffer.from('absent')))
      await rejectsWith('not_found', store.read(path, { limit: 10 }))
      await rejectsWith('not_found', store.open(path))
    })

    it('leads nowhere else', async () => {
      for (const path of ['../../../config.yml', 'blobs/../../../../etc/passwd', 'blobs//x', ''])
        await assert.rejects(store.read(path, { limit: 10_000 }), { name: 'DomainError' }, path)
    })

    it('is aborted', async () => {
      const signal = AbortSignal.abort()
      const path = blobDataPath(digestOf(large))
      await assert.rejects(store.read(path, { limit: 10, signal }), { name: 'AbortError' })
      await assert.rejects(store.open(path, { signal }), { name: 'AbortError' })
      await assert.rejects(Array.fromAsync(store.list('repositories/', { signal })), { name: 'AbortError' })
      const controller = new AbortController()
      const { stream } = await store.open(path, controller)
      controller.abort()
      await assert.rejects(Array.fromAsync(stream), { name: 'AbortError' })
    })
  })
}
