import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { parseImageName } from '../../../../src/storage/reference.ts'
import {
  ConfiguredCredentials,
  type NamedCredentials,
} from '../../../../src/storage/remote/credentials/configured-credentials.ts'
import { rejectsWith } from '../../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'

const image = parseImageName('r.example/team/app:1')

describe('ConfiguredCredentials', () => {
  let directory: TemporaryDirectory
  const at = (name: string) => join(directory.path, name)
  const secret = async (name: string, text: string, mode = 0o600) => {
    await writeFile(at(name), text)
    await chmod(at(name), mode)
  }
  const alice = (): NamedCredentials => ({
    name: 'team',
    registry: 'r.example',
    repositories: ['team/**'],
    secret: { kind: 'password', username: 'alice', file: at('password') },
  })
  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(() => directory.remove())

  it('reads a password when it is needed, and again when it has changed', async () => {
    const credentials = new ConfiguredCredentials({ named: [alice()] })
    await secret('password', 'one\n')
    const first = await credentials.choose(image, undefined)
    assert.deepEqual(first, {
      name: 'team',
      credentials: { kind: 'password', username: 'alice', password: 'one' },
    })
    assert.deepEqual(await credentials.choose(image, 'team'), first)
    await secret('password', 'two')
    assert.deepEqual((await credentials.choose(image, undefined))?.credentials, {
      kind: 'password',
      username: 'alice',
      password: 'two',
    })
  })

  it('reads an identity token', async () => {
    await secret('token', 'refresh-me\n')
    const named = [{ ...alice(), secret: { kind: 'identity-token', file: at('token') } as const }]
    assert.deepEqual((await new ConfiguredCredentials({ named }).choose(image, undefined))?.credentials, {
      kind: 'identity-token',
      token: 'refresh-me',
    })
  })

  for (const [what, code, make] of [
    ['a file that others may read', 'invalid', () => secret('password', 'hunter2', 0o644)],
    ['a file that others may write', 'invalid', () => secret('password', 'hunter2', 0o602)],
    ['an empty file', 'invalid', () => secret('password', ' \n')],
    ['a file of several lines', 'invalid', () => secret('password', 'hunter2\nx-header: y')],
    ['a directory', 'invalid', () => mkdir(at('password'), { mode: 0o700 })],
    ['a file that is too large', 'invalid', () => secret('password', 'hunter2'.repeat(200_000))],
    ['no file', 'unavailable', async () => {}],
  ] as const)
    it(`names ${what}, and nothing in it`, async () => {
      await make()
      const credentials = new ConfiguredCredentials({ named: [alice()] })
      const { message } = await rejectsWith(code, credentials.choose(image, undefined))
      assert.match(message, /password/)
      assert.doesNotMatch(message, /hunter2/)
      assert.deepEqual(await credentials.problems(), [message])
    })

  it("asks docker's file for what no rule fits", async () => {
    const entry = { auth: Buffer.from('bob:pw').toString('base64') }
    await secret('config.json', JSON.stringify({ auths: { 'r.example': entry } }))
    await secret('password', 'one')
    const credentials = new ConfiguredCredentials({ named: [alice()], dockerConfigFile: at('config.json') })
    assert.equal((await credentials.choose(image, undefined))?.name, 'team')
    const other = await credentials.choose(parseImageName('r.example/other'), undefined)
    assert.deepEqual(other?.credentials, { kind: 'password', username: 'bob', password: 'pw' })
    assert.equal(await credentials.choose(parseImageName('elsewhere.example/x'), undefined), undefined)
    assert.deepEqual(await credentials.problems(), [])
    await secret('config.json', '{"auths":"hunter2"}')
    const { message } = await rejectsWith(
      'invalid',
      credentials.choose(parseImageName('r.example/x'), undefined),
    )
    assert.doesNotMatch(message, /hunter2/)
  })

  it('has none when nothing is configured', async () => {
    const credentials = new ConfiguredCredentials()
    assert.equal(credentials.isEmpty, true)
    assert.equal(await credentials.choose(image, undefined), undefined)
    await rejectsWith('invalid', credentials.choose(image, 'team'))
  })

  describe('with programs', () => {
    const path = process.env['PATH']
    let programs: TemporaryDirectory
    before(async () => {
      programs = await temporaryDirectory()
      process.env['PATH'] = `${programs.path}:${path}`
    })
    after(async () => {
      process.env['PATH'] = path
      await programs.remove()
    })

    async function program(script: string): Promise<void> {
      const file = join(programs.path, 'docker-credential-test')
      await writeFile(file, `#!/bin/sh\n${script}\n`)
      await chmod(file, 0o755)
    }
    async function withStore(runHelpers: boolean): Promise<ConfiguredCredentials> {
      const entry = { auth: Buffer.from('file:pw').toString('base64') }
      await secret('config.json', JSON.stringify({ auths: { 'r.example': entry }, credsStore: 'test' }))
      return new ConfiguredCredentials({ dockerConfigFile: at('config.json'), runHelpers })
    }
    const choose = async (credentials: ConfiguredCredentials) =>
      (await credentials.choose(image, undefined))?.credentials

    it('runs them only when told so', async () => {
      await program('echo \'{"Username":"p","Secret":"s"}\'')
      assert.deepEqual(await choose(await withStore(false)), {
        kind: 'password',
        username: 'file',
        password: 'pw',
      })
      assert.deepEqual(await choose(await withStore(true)), {
        kind: 'password',
        username: 'p',
        password: 's',
      })
    })

    it('gives them the name of the server, and asks once for many layers', async () => {
      await program(`echo "$1 $(cat)" >> ${at('asked')}; echo '{"Username":"<token>","Secret":"s"}'`)
      const credentials = await withStore(true)
      for (let layer = 0; layer < 3; layer += 1)
        assert.deepEqual(await choose(credentials), { kind: 'identity-token', token: 's' })
      assert.equal(await readFile(at('asked'), 'utf8'), 'get r.example\n')
    })

    it('goes on without them when they have none', async () => {
      await program('echo credentials not found in native keychain; exit 1')
      const credentials = await choose(await withStore(true))
      assert.deepEqual(credentials, { kind: 'password', username: 'file', password: 'pw' })
    })

    for (const [what, script, words] of [
      ['fails', 'echo hunter2; exit 3', /ended with 3/],
      ['says what makes no sense', 'echo hunter2', /makes no sense/],
      ['says nothing', 'exit 0', /makes no sense/],
      ['has no secret', 'echo \'{"Username":"hunter2","Secret":""}\'', /makes no sense/],
    ] as const)
      it(`names one that ${what}, and not what it says`, async () => {
        await program(script)
        const credentials = await withStore(true)
        const { message } = await rejectsWith('unavailable', choose(credentials))
        assert.match(message, /docker-credential-test/)
        assert.match(message, words)
        assert.doesNotMatch(message, /hunter2/)
      })

    it('does not wait for what one has started and left behind', async () => {
      await program(`sleep 600 & echo $$ $! > ${at('left')}`)
      const credentials = await withStore(true)
      const controller = new AbortController()
      const choosing = credentials.choose(image, undefined, { signal: controller.signal })
      let pids: number[] = []
      while (pids.length < 2) {
        await turn()
        const text = await readFile(at('left'), 'utf8').catch(() => '')
        if (text.endsWith('\n')) pids = text.split(' ').map(Number)
      }
      const [own = 0, left = 0] = pids
      try {
        while (lives(own)) await turn()
        controller.abort()
        await assert.rejects(choosing, { name: 'AbortError' })
      } finally {
        process.kill(left)
      }
    })

    it('ends one that hangs when the caller gives up', async () => {
      await program(`echo $$ > ${at('pid')}; exec sleep 60`)
      const credentials = await withStore(true)
      const controller = new AbortController()
      const choosing = credentials.choose(image, undefined, { signal: controller.signal })
      const pid = async (): Promise<number> => {
        const text = await readFile(at('pid'), 'utf8').catch(() => '')
        return text.endsWith('\n')
          ? Number(text)
          : await new Promise(resolve => setImmediate(() => resolve(pid())))
      }
      const number = await pid()
      controller.abort()
      await assert.rejects(choosing, { name: 'AbortError' })
      assert.throws(() => process.kill(number, 0), { code: 'ESRCH' })
    })
  })
})

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
