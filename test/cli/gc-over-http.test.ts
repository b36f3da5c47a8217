import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { GcStatusView } from '../../src/registry/admin/gc-views.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { type AdminRegistry, startAdminRegistry } from '../support/admin-registry.ts'
import { passwordOf } from '../support/known-identities.ts'
import { commitText, imageManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import { type Ran, runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve gc, for a registry elsewhere', () => {
  const repository = parseRepositoryName('acme/app')
  let directory: TemporaryDirectory
  let registry: AdminRegistry
  let tokenFile: string
  before(async () => {
    directory = await temporaryDirectory()
    registry = await startAdminRegistry()
    const { token } = await registry.as('root').call('token.create', { account: 'root' })
    tokenFile = join(directory.path, 'token')
    await writeFile(tokenFile, token, { mode: 0o600 })
    const { digest } = await commitText(registry.metadata, repository, 'layer', Date.now())
    await registry.metadata.putManifest(repository, imageManifest({ config: digest, tags: ['v1'] }))
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })
  const gc = async (...args: readonly string[]): Promise<Ran> =>
    await runVarve(['gc', ...args, '--registry', registry.url, '--token-file', tokenFile])

  it('says why something is kept, and what is known of nothing', async () => {
    const { code, stdout, stderr } = await gc('explain', digestOf(Buffer.from('layer')))
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^acme\/app: blob, kept because acme\/app:v1 -> sha256:/)
    assert.equal((await gc('explain', digestOf(Buffer.from('nothing')))).code, 3)
    const wrong = await gc('explain', 'sha256:short')
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /sha256:short/)
  })

  it('runs, is paused, and goes on, and the audit log has it', async () => {
    assert.match((await gc('run')).stdout, /^0 manifests, 0 links, 0 blobs \(0 B\)/)
    assert.equal((await gc('pause')).stdout, 'paused\n')
    const status = JSON.parse((await gc('status', '--json')).stdout) as GcStatusView
    assert.deepEqual([status.pausedBy, status.waiting.links], ['root', 1])
    const { code, stderr } = await gc('run')
    assert.deepEqual([code, /paused; let it go on/.test(stderr)], [5, true])
    assert.equal((await gc('resume')).stdout, 'collecting again\n')
    assert.match((await gc('status')).stdout, /collection +running/)
    const { items } = await registry.as('root').call('audit.list', { account: 'root', operation: 'gc.pause' })
    assert.deepEqual(
      items.map(({ outcome }) => outcome),
      ['allowed'],
    )
  })

  it('is for admins only', async () => {
    await registry.as('root').call('user.create', { name: 'alice', password: passwordOf('alice') })
    const alice = registry.as('alice')
    await rejectsWith('denied', alice.call('gc.status', {}))
    await rejectsWith('denied', alice.call('gc.pause', {}))
    await rejectsWith('denied', alice.call('gc.explain', { digest: digestOf(Buffer.from('layer')) }))
  })
})
