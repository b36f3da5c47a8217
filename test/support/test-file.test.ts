import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { temporaryDirectory } from './temporary-directory.ts'
import { runTestFile } from './test-file.ts'

const source = `
import { before, describe, it } from 'node:test'
describe('a suite', () => {
  it('passes', () => {})
  it('is skipped', { skip: 'no reason to run' }, () => {})
  it('fails', () => { throw new Error('outer', { cause: new Error('dataset is busy') }) })
})
`

describe('running one test file', () => {
  // By this Node knows that it is in a test, where it runs no others.
  before(() => delete process.env['NODE_TEST_CONTEXT'])

  it('tells each test once, with what a failure was caused by', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'sample.test.mjs')
    await writeFile(file, source)
    const { passed, failed, skipped, report } = await runTestFile(file)
    assert.deepEqual(
      { passed, failed: failed.map(({ title }) => title), skipped },
      { passed: 1, failed: [`fails (${file})`], skipped: [`is skipped (${file}): no reason to run`] },
    )
    assert.match(failed[0]?.reason ?? '', /^Error: outer\n[\s\S]*dataset is busy/)
    assert.match(report, /✖ fails/)
    assert.doesNotMatch(report, /duration_ms \d/)
  })

  it('fails for a file that cannot be run', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'broken.test.mjs')
    await writeFile(file, 'this is no program')
    assert.equal((await runTestFile(file)).failed.length, 1)
  })
})
