import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { guardedTarget } from '../../../src/registry/mirror/guarded-target.ts'
import { openMirrorHook } from '../../../src/registry/mirror/hook-handler.ts'
import type { WishMirrorRun } from '../../../src/registry/mirror/wishes.ts'
import { OpenAccess } from '../../../src/registry/auth/open-access.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import { mirrorJob } from '../../support/mirror-runners.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { serveStub } from '../../support/stub-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const [first, second] = ['0123456789abcdef', 'fedcba9876543210'].map(text => `${text}-of-tests`)

describe('The hook of mirror jobs', () => {
  let directory: TemporaryDirectory
  let tokenFile: string
  let wishes: string[]
  before(async () => {
    directory = await temporaryDirectory()
    tokenFile = join(directory.path, 'tokens')
  })
  after(() => directory.remove())

  const wish: WishMirrorRun = async (job, { trigger }) => {
    wishes.push(`${job} ${trigger}`)
  }
  const open = async () => {
    wishes = []
    await writeFile(tokenFile, `${first}\n`, { mode: 0o600 })
    const jobs = {
      get: async (name: string) => {
        if (name === 'web')
          return { job: mirrorJob('web'), origin: 'configuration', updatedAt: null } as const
        throw new DomainError('not_found', 'There is no such job.', { resource: 'mirror' })
      },
    }
    const route = await openMirrorHook({ jobs, wish, tokenFile })
    return await serveStub({}, { security: { access: new OpenAccess(), routes: [route] } })
  }
  const call = async (url: string, token: string | undefined, body?: string | Uint8Array<ArrayBuffer>) =>
    (
      await fetch(`${url}/api/v1/mirror/hooks/web`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body }),
      })
    ).status

  it('takes the tokens that are in the file now, and none while it is of no use', async () => {
    await using served = await open()
    assert.equal(await call(served.url, first), 202)
    assert.equal(await call(served.url, second), 401)
    await writeFile(tokenFile, `# both\n${first}\n\n${second}\n`)
    assert.equal(await call(served.url, second), 202)
    await writeFile(tokenFile, `${second}\n`)
    assert.equal(await call(served.url, first), 401)
    await chmod(tokenFile, 0o644)
    assert.equal(await call(served.url, second), 503)
    await chmod(tokenFile, 0o600)
    assert.equal(await call(served.url, second), 202)
    assert.deepEqual(wishes, ['web webhook', 'web webhook', 'web webhook'])
    assert.equal(served.kept.text().includes('-of-tests'), false)
  })

  it('reads nothing of what is sent along', async () => {
    await using served = await open()
    for (const body of ['', '{', '{"events":[]}', 'x'.repeat(1_000_000), new Uint8Array(10)])
      assert.equal(await call(served.url, first, body), 202)
    assert.equal(wishes.length, 5)
  })

  it('is not opened with a file that has no tokens, or that others may read', async () => {
    for (const [text, mode] of [
      ['', 0o600],
      ['short\n', 0o600],
      ['two words that are no token\n', 0o600],
      [`${first}\n`, 0o644],
    ] as const) {
      const file = join(directory.path, 'wrong')
      await writeFile(file, text)
      await chmod(file, mode)
      const jobs = { get: () => assert.fail() }
      const { message } = await rejectsWith('invalid', openMirrorHook({ jobs, wish, tokenFile: file }))
      assert.match(message, /^The setting mirror\.hookTokenFile is not valid: /)
      assert.equal(message.includes('-of-tests'), false)
    }
  })
})

describe('The own stores as a target of jobs', () => {
  const own = {
    label: 'varve',
    repository: () => {
      throw new Error('asked')
    },
    repositories: () => assert.fail(),
  }

  it('are closed where clients may not push either', () => {
    assert.throws(() => guardedTarget(own, { readOnly: true, upstreamPrefixes: [] }), /read-only/)
    const target = guardedTarget(own, { readOnly: false, upstreamPrefixes: ['docker.io', 'acme/hub'] })
    for (const name of ['docker.io/library/debian', 'acme/hub/x'])
      assert.throws(() => target.repository(parseRepositoryName(name)), /where the copies of an upstream are/)
    for (const name of ['docker.iota/x', 'acme/hubs', 'acme/web'])
      assert.throws(() => target.repository(parseRepositoryName(name)), /^Error: asked$/)
  })

  it('do not tell jobs of the copies of upstreams, which none of them has made', async () => {
    const names = ['acme/web', 'docker.io/library/debian', 'docker.iota/x'].map(parseRepositoryName)
    const all = { ...own, repositories: () => Readable.from(names) as AsyncIterable<RepositoryName> }
    const target = guardedTarget(all, { readOnly: false, upstreamPrefixes: ['docker.io'] })
    assert.deepEqual(await Array.fromAsync(target.repositories()), ['acme/web', 'docker.iota/x'])
  })
})
