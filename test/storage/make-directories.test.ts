import assert from 'node:assert/strict'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { makeDirectories } from '../../src/storage/make-directories.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('makeDirectories', () => {
  it('makes all that are missing, for the owner alone, and names the topmost', async () => {
    await using directory = await temporaryDirectory()
    const top = join(directory.path, 'a')
    const deep = join(top, 'b/c')
    assert.equal(await makeDirectories(deep), top)
    assert.equal(statSync(deep).mode & 0o777, 0o700)
    assert.equal(await makeDirectories(deep), undefined)
  })

  it('can be called for the same directory by many at once', async () => {
    await using directory = await temporaryDirectory()
    const deep = join(directory.path, 'a/b/c/d')
    await Promise.all(Array.from({ length: 20 }, () => makeDirectories(deep)))
    assert.ok(existsSync(deep))
  })

  it('refuses what is there and no directory, and what is below it', async () => {
    await using directory = await temporaryDirectory()
    const taken = join(directory.path, 'file')
    writeFileSync(taken, '')
    await assert.rejects(makeDirectories(taken), { code: 'ENOTDIR' })
    await assert.rejects(makeDirectories(join(taken, 'a/b')), { code: 'ENOTDIR' })
  })

  it('ends where none can be made though the one above is there: below /proc Node goes round for ever', async () => {
    await assert.rejects(makeDirectories('/proc/nope/a/b'), { code: 'ENOENT' })
  })
})
