import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const run = promisify(execFile)

describe('limits of tests on an emulated machine', () => {
  let directory: TemporaryDirectory
  let file = ''
  let hook = ''
  before(async () => {
    directory = await temporaryDirectory()
    // It changes what is in the directory around its own.
    hook = join(directory.path, 'openzfs/patient-tests.ts')
    await mkdir(join(directory.path, 'openzfs'))
    await copyFile(join(import.meta.dirname, 'patient-tests.ts'), hook)
    file = join(directory.path, 'limits.ts')
    await writeFile(
      file,
      'const of = { timeout: 5 }\nconsole.log(of.timeout satisfies number)\nthrow new Error("here")\n',
    )
  })
  after(() => directory.remove())

  async function seen(slowness?: number): Promise<string> {
    const env = {
      ...process.env,
      NODE_COMPILE_CACHE: join(directory.path, 'cache'),
      VARVE_TEST_SLOWNESS: String(slowness ?? 1),
    }
    const args = [...(slowness === undefined ? [] : ['--import', hook]), file]
    const { stdout, stderr } = await run(process.execPath, args, { env }).then(
      () => assert.fail('it throws'),
      (error: { readonly stdout: string; readonly stderr: string }) => error,
    )
    assert.match(stderr, /limits\.ts:3/)
    return stdout.trim()
  }

  it('are what they are multiplied by, whatever was compiled and kept before', async () => {
    for (const [slowness, limit] of [
      [undefined, '5'],
      [undefined, '5'],
      [10, '50'],
      [10, '50'],
      [20, '100'],
      [undefined, '5'],
      [10, '50'],
    ] as const)
      assert.equal(await seen(slowness), limit)
    assert.notDeepEqual(await readdir(join(directory.path, 'cache')), [])
  })
})
