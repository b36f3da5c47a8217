import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { ServedScrub } from '../../../src/cli/registry/served-scrub.ts'
import type { Stores } from '../../../src/cli/registry/stores.ts'
import { loadConfig } from '../../../src/config.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { openSqliteTwice } from '../../support/open-metadata.ts'
import { newUpload } from '../../support/records.ts'
import { testLog } from '../../support/test-logs.ts'

describe('A check that is asked for over HTTP', () => {
  it('and that somebody begins is not over because an earlier one, for which nobody waited, is', async () => {
    await using stack = new AsyncDisposableStack()
    const opened = await openSqliteTwice(() => Date.now())
    stack.defer(() => opened.close())
    const { metadata } = opened
    const objects = new MemoryObjectStore()
    const repository = parseRepositoryName('acme/app')
    const upload = newUpload(repository, Date.now())
    await metadata.createUpload(upload)
    const bytes = Buffer.from(randomUUID())
    await objects.put(upload.objectKey, bytes)
    const blob = { ...upload, digest: digestOf(bytes), size: bytes.length, uploadId: upload.id }
    await metadata.commitBlob(blob)

    const begun = Promise.withResolvers<void>()
    const goesOn = Promise.withResolvers<void>()
    const get = objects.get.bind(objects)
    objects.get = async (...args) => {
      begun.resolve()
      await goesOn.promise
      return await get(...args)
    }
    const { config } = loadConfig({ environment: {}, flags: {} })
    const scrub = stack.use(new ServedScrub(config, { metadata, objects } as unknown as Stores, testLog()))
    const asked = { takesAll: false, bytesPerSecond: 0 }
    const leaving = new AbortController()
    const first = scrub.tick({ ...asked, begins: true }, { signal: leaving.signal })
    await begun.promise
    leaving.abort()
    assert.equal((await first).outcome, 'more')
    goesOn.resolve()
    const isOver = async () => (await metadata.scrubState()).place === null
    await eventuallyWithin(60, 'the end of the first', isOver)

    await objects.put(upload.objectKey, Buffer.from('damaged'))
    let corrupt = 0
    for (let begins = true; ; begins = false) {
      const report = await scrub.tick({ ...asked, begins }, {})
      corrupt += report.corrupt
      if (report.outcome === 'done') break
      assert.equal(report.outcome, 'more')
    }
    assert.equal(corrupt, 1)
    assert.equal((await metadata.scrubState()).place, null)
  })
})
