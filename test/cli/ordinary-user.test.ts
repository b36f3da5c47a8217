import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { asNobody } from '../support/nobody.ts'
import { skipWithout } from '../support/programs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'
import { createPool, type TestPool, zfs } from '../support/zfs.ts'

async function asOrdinaryUser(...args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn('setpriv', [...asNobody, varveProgram, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [stderr, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stderr }
}

describe('varve as an ordinary user', { skip: await skipWithout('zfs', 'setpriv') }, () => {
  let directory: TemporaryDirectory
  let pool: TestPool

  before(async () => {
    directory = await temporaryDirectory()
    await chmod(directory.path, 0o777)
    pool = await createPool()
  })
  after(async () => {
    await pool.destroy()
    await directory.remove()
  })

  for (const command of [
    ['import', '127.0.0.1:1/a'],
    ['clone', '127.0.0.1:1/a', 'web1'],
    ['images'],
    ['agent'],
    ['up', '--address', '127.0.0.1:0'],
  ])
    it(`is told to be root, in one sentence: ${command[0] ?? ''}`, async () => {
      const where = ['--data', join(directory.path, 'data')]
      for (const chains of [
        ['--pool', pool.name],
        ['--chains', join(directory.path, 'chains')],
      ]) {
        const { code, stderr } = await asOrdinaryUser(...command, ...where, ...chains)
        assert.equal(code, 4, stderr)
        assert.match(stderr, /^varve: [^\n]*; run Varve as root[^\n]*\n$/)
      }
      assert.equal((await zfs('list', '-H', '-r', '-o', 'name', pool.name)).trim(), pool.name)
      assert.deepEqual(
        (await readdir(directory.path)).filter(name => name === 'chains'),
        [],
      )
    })
})
