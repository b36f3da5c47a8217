import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { RetentionPolicyView, RetentionVerdictView } from '../../src/registry/admin/retention-views.ts'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import { makeDirectories } from '../../src/storage/make-directories.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { looseManifest } from '../support/records.ts'
import { runVarve } from '../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve retention', () => {
  const repository = parseRepositoryName('acme/app')
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory()
    await makeDirectories(join(directory.path, 'registry'))
    const clock = { time: Date.now() - 100 * 86_400_000 }
    await using metadata = await openSqliteMetadata(join(directory.path, 'registry', 'varve.db'), {
      now: () => clock.time,
    })
    await metadata.createTenant({ name: parseTenantName('acme') })
    for (let n = 1; n <= 12; n++) {
      await metadata.putManifest(repository, looseManifest(`pr ${n}`, `pr-${n}`))
      clock.time += 86_400_000
    }
    await metadata.putManifest(repository, looseManifest('release', 'v1'))
  })
  after(() => directory.remove())

  const varve = (...args: readonly string[]) => runVarve([...args, '--data', directory.path])
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await varve(...args)
    assert.equal(code, 0, stderr)
    return stdout
  }

  it('adds, lists and removes policies, by flags and from a file', async () => {
    assert.match(await ok('retention', 'list', 'acme'), /acme has no retention policies/)
    const added = await ok('retention', 'add', 'acme', '--tags', 'pr-*', '--keep-newest', '5', '--dry-run')
    const id = /^added policy (\S+)\n$/.exec(added)?.[1] ?? ''
    const [policy] = JSON.parse(await ok('retention', 'list', 'acme', '--json')) as RetentionPolicyView[]
    assert.equal(policy?.id, id)
    assert.deepEqual(policy?.policy['repositories'], ['acme/**'])
    assert.match(await ok('retention', 'plan', 'acme/app'), /pr-1 +would go +\d{4}-.*rule 1 of policy/)
    await ok('retention', 'rm', 'acme', id)
    const file = join(directory.path, 'policy.yaml')
    await writeFile(file, 'repositories: [acme/*]\nrules:\n  - { tags: ["pr-*"], keepNewest: 5 }\n')
    await ok('retention', 'add', 'acme', '--file', file)
  })

  it('refuses what makes no policy, or one for others', async () => {
    for (const [args, expected] of [
      [['--keep-newest', '0'], /Write a number/],
      [['--pushed-within', 'soon'], /Write a time/],
      [['--repositories', 'other/**', '--keep-newest', '1'], /begin with acme\//],
      [[], /Say what stays/],
      [['--tags', 'v*'], /Say what stays/],
      [['--tags', 'v*', '--untagged-after', '1d'], /Say what stays/],
      [['--file', join(directory.path, 'absent')], /cannot be read/],
    ] as const) {
      const { code, stderr } = await varve('retention', 'add', 'acme', ...args)
      assert.ok(code === 1 || code === 2, stderr)
      assert.match(stderr, expected)
    }
  })

  it('does what the plan says, and tells of it', async () => {
    const plan = JSON.parse(await ok('retention', 'plan', 'acme/app', '--json')) as RetentionVerdictView[]
    const going = plan.filter(({ outcome }) => outcome === 'goes').map(({ tag }) => tag)
    assert.deepEqual(
      going.toSorted((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1)),
      ['pr-1', 'pr-2', 'pr-3', 'pr-4', 'pr-5', 'pr-6', 'pr-7'],
    )
    const shown = await ok('retention', 'plan', 'acme/app', '--only-going')
    assert.ok(!shown.includes('v1') && shown.includes('not one of the newest 5 by push'), shown)
    assert.match(
      await ok('retention', 'run'),
      /^7 tags and 0 manifests without a tag dropped in 1 repository/,
    )
    assert.match(await ok('retention', 'plan', 'acme/app', '--only-going'), /nothing of acme\/app goes/)
    const status = await ok('retention', 'status')
    assert.match(status, /dropped +7 tags/)
    assert.match(status, /next run +20/)
    assert.match(await ok('audit', '--json'), /"retention.drop"/)
  })

  it('does nothing while the collection is paused', async () => {
    await ok('gc', 'pause')
    const { code, stderr } = await varve('retention', 'run')
    assert.equal(code, 5)
    assert.match(stderr, /paused/)
    assert.match(await ok('retention', 'status'), /paused since/)
    await ok('gc', 'resume')
  })

  it('says when a tag goes by itself', async () => {
    assert.match(await ok('tag', 'expire', 'acme/app:v1', '--after', '3d'), /^acme\/app:v1 goes at 20/)
    assert.match(await ok('retention', 'plan', 'acme/app'), /v1 .*\(goes 20.* by itself\)/)
    assert.match(await ok('tag', 'expire', 'acme/app:v1', '--never'), /does not go by itself/)
    await ok('tag', 'expire', 'acme/app:v1', '--at', '2000-01-01T00:00:00Z')
    assert.match(await ok('retention', 'run'), /1 tag whose time had come/)
    for (const [args, code] of [
      [['acme/app:v1', '--after', '3d'], 3],
      [['acme/app', '--after', '3d'], 2],
      [['acme/app:v1'], 2],
      [['acme/app:v1', '--after', '3d', '--never'], 2],
    ] as const)
      assert.equal((await varve('tag', 'expire', ...args)).code, code)
  })
})
