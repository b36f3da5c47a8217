import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exec } from './process.ts'

const node = process.execPath

describe('exec', () => {
  it('answers standard output, and hands arguments on without a shell', async () => {
    const echo = 'process.stdout.write(process.argv[1] + process.env.WORD)'
    assert.equal(await exec(node, ['-e', echo, '$HOME; `id`'], { env: { WORD: '!' } }), '$HOME; `id`!')
  })

  it('rejects with the command, its status and the end of its standard error', async () => {
    const script = 'console.error("x".repeat(9000) + " the reason"); process.exit(3)'
    await assert.rejects(exec(node, ['-e', script]), (error: Error) => {
      assert.match(error.message, /-e .*: exit status 3\n/s)
      assert.match(error.message, /the reason$/)
      assert.ok(error.message.length < 5000)
      return true
    })
  })

  it('names a program that is not there', async () => {
    await assert.rejects(exec('no-such-program', ['a']), /^Error: no-such-program a: .*ENOENT/)
  })

  it('ends the program when aborted, and does not start it when aborted before', async () => {
    const controller = new AbortController()
    const running = exec(node, ['-e', 'setTimeout(() => {}, 60_000)'], { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await assert.rejects(running, { name: 'AbortError' })
    await assert.rejects(exec(node, ['-v'], { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })
})
