import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { keysIn } from '../contract/object-store.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { KillableRegistry } from './killed-pushes/killable-registry.ts'
import { type Pushed, pushOne, ways } from './killed-pushes/pushes.ts'

const pushes = 200
const atOnce = 8
const repositories = ['kill/one', 'kill/two', 'kill/three'] as const

describe(`A registry that is killed at random points of ${pushes} pushes`, () => {
  const pushed: Pushed[] = []
  let visible = 0
  let data: TemporaryDirectory
  let registry: KillableRegistry
  before(async () => {
    data = await temporaryDirectory()
    registry = new KillableRegistry(data.path)
    await registry.start()
    await pushWhileKilling(registry, pushed)
  })
  after(async () => {
    await registry.kill()
    await data.remove()
  })

  it('was killed often enough to have been hit in the middle of them', context => {
    const count = (outcome: Pushed['outcome']) => pushed.filter(push => push.outcome === outcome).length
    context.diagnostic(
      `${registry.kills} kills; ${count('acknowledged')} acknowledged, ${count('asked')} unanswered, ${count('never asked')} never asked for`,
    )
    assert.ok(
      registry.kills >= 3 && count('acknowledged') >= 10 && count('asked') + count('never asked') >= 10,
    )
  })

  it('has all that it acknowledged, byte for byte, and nothing that it only began', async () => {
    const client = new RegistryClient(await registry.url)
    for (const push of pushed) if (await isThere(client, push)) visible += push.kind === 'blob' ? 1 : 0
  })

  it('has made no mistake', () => assert.deepEqual(registry.failures, []))

  it('leaves nothing behind when the sessions have expired', async () => {
    await registry.kill()
    assert.deepEqual(await sweptAfterExpiry(join(data.path, 'registry')), { objects: visible, staged: 0 })
  })
})

/** Several clients push while the registry is killed and started again, at any time. */
async function pushWhileKilling(registry: KillableRegistry, pushed: Pushed[]): Promise<void> {
  let begun = 0
  let isOver = false
  const client = async () => {
    while (begun++ < pushes) {
      const url = await registry.url
      const repository = repositories[randomInt(repositories.length)] ?? repositories[0]
      const way = ways[randomInt(ways.length)] ?? 'single'
      await pushOne(url, repository, way, pushed).catch(passConnectionFailure)
    }
  }
  const killer = async () => {
    while (!isOver) {
      await sleep(randomInt(20, 500))
      if (isOver) return
      await registry.kill()
      await registry.start()
    }
  }
  const killing = killer()
  try {
    await Promise.all(Array.from({ length: atOnce }, client))
  } finally {
    isOver = true
    await killing
  }
}

/** The registry was killed; any answer of it that is not the wanted one is a failure of the test. */
function passConnectionFailure(error: unknown): void {
  if (error instanceof assert.AssertionError || !(error instanceof Error) || !('code' in error)) throw error
}

/** Whether it can be read, by every path or by none; what can be read must be what was pushed. */
async function isThere(client: RegistryClient, { paths, bytes, digest, outcome }: Pushed): Promise<boolean> {
  const name = paths.join(' and ')
  const answers = await Promise.all(paths.map(path => client.send('GET', path)))
  const [status] = new Set(answers.map(answer => answer.status))
  for (const answer of answers) assert.equal(answer.status, status, `${name} disagree`)
  if (outcome === 'acknowledged') assert.equal(status, 200, `${name} was acknowledged and is lost`)
  if (outcome === 'never asked') assert.equal(status, 404, `${name} is visible and was never finished`)
  if (status !== 200) return false
  for (const answer of answers) {
    assert.ok(answer.bytes.equals(bytes), `${name} has other bytes than were pushed`)
    assert.equal(answer.headers['docker-content-digest'], digest)
  }
  return true
}

/** What is left of the data when all sessions have expired. */
async function sweptAfterExpiry(directory: string): Promise<{ objects: number; staged: number }> {
  const objects = await FilesystemObjectStore.open(directory)
  const later = Date.now() + 48 * 60 * 60 * 1000
  await using metadata = await openSqliteMetadata(join(directory, 'varve.db'), { now: () => later })
  const { failures } = await new ObjectBlobStore({ objects, metadata }).sweepUploads(new Date(later))
  assert.deepEqual(failures, [])
  const staged = await readdir(join(directory, 'staging'))
  return { objects: (await keysIn(objects)).length, staged: staged.length }
}
