import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { plainDirectory, writePlainSources } from './plain-sources.ts'

const run = promisify(execFile)

describe('modules without types on an emulated machine', () => {
  let tree: TemporaryDirectory
  let options: string[] = []
  const main = () => join(tree.path, 'src/main.ts')
  before(async () => {
    tree = await temporaryDirectory()
    for (const folder of ['src', 'test/openzfs']) await mkdir(join(tree.path, folder), { recursive: true })
    await writeFile(join(tree.path, 'package.json'), '{"type":"module"}')
    await writeFile(
      join(tree.path, 'test/openzfs/plain-hook.ts'),
      await readFile(join(import.meta.dirname, 'plain-hook.ts')),
    )
    await writeFile(
      main(),
      'interface Gone {\n}\nconst said: string = "plain"\nconsole.log(said, import.meta.filename)\nthrow new Error("here")\n',
    )
    await writePlainSources(tree.path, tree.path)
    options = ['--import', join(tree.path, plainDirectory, 'test/openzfs/plain-hook.js')]
  })
  after(() => tree.remove())

  async function seen(file: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
    // Node strips no types by itself, so nothing but the plain ones can be run.
    return await run(process.execPath, ['--no-strip-types', ...options, file]).then(
      () => assert.fail('it throws'),
      (error: { readonly stdout: string; readonly stderr: string }) => error,
    )
  }

  it('are what is run, by their own names and lines', async () => {
    const { stdout, stderr } = await seen(main())
    assert.equal(stdout, `plain ${main()}\n`)
    assert.match(stderr, /src\/main\.ts:5:7/)
  })

  it('are not there for what was written later, which Node sees to', async () => {
    const late = join(tree.path, 'src/late.ts')
    await writeFile(late, 'console.log(1 as number)\n')
    assert.match((await seen(late)).stderr, /ERR_UNKNOWN_FILE_EXTENSION/)
    const { stdout } = await run(process.execPath, [...options, late])
    assert.equal(stdout, '1\n')
  })
})
