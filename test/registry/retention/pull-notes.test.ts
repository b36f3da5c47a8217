import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PullNotes } from '../../../src/registry/retention/pull-notes.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { looseManifest } from '../../support/records.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { testLog } from '../../support/test-logs.ts'

describe('Times of pulls', () => {
  const repository = parseRepositoryName('acme/app')
  const written: number[] = []
  let registry: TestRegistry
  let notes: PullNotes
  before(async () => {
    registry = await startRegistry({
      pullNotes: metadata => {
        const records: ConstructorParameters<typeof PullNotes>[0]['records'] = {
          notePulled: async (pulled, options) => {
            written.push(pulled.length)
            await metadata.notePulled(pulled, options)
          },
        }
        notes = new PullNotes({ records, log: testLog() })
        return notes
      },
    })
    for (const tag of ['get', 'head', 'digest', 'same', 'never'])
      await registry.metadata.putManifest(repository, looseManifest(tag, tag))
  })
  after(() => registry.stop())

  async function ask(
    method: string,
    reference: string,
    headers: Record<string, string> = {},
  ): Promise<number> {
    const response = await fetch(`${registry.url}/v2/acme/app/manifests/${reference}`, { method, headers })
    await response.arrayBuffer()
    return response.status
  }

  it('are those of GET and HEAD, by tag and by digest, also of who has it already', async () => {
    const digestOf = (tag: string) => looseManifest(tag, tag).digest
    for (let round = 0; round < 50; round++) assert.equal(await ask('GET', 'get'), 200)
    assert.equal(await ask('HEAD', 'head'), 200)
    assert.equal(await ask('GET', digestOf('digest')), 200)
    assert.equal(await ask('GET', 'same', { 'if-none-match': `"${digestOf('same')}"` }), 304)
    assert.equal(await ask('GET', 'absent'), 404)
    await notes[Symbol.asyncDispose]()
    const facts = await registry.metadata.listTagFacts(repository, undefined, 10)
    assert.deepEqual(
      facts.filter(({ pulledAt }) => pulledAt !== null).map(({ tag }) => tag),
      ['digest', 'get', 'head', 'same'],
    )
    assert.equal(
      written.reduce((sum, each) => sum + each, 0),
      4,
      'each once',
    )
  })

  it('go with their manifest', async () => {
    const never = await registry.metadata.findTagFacts(repository, parseTag('never'))
    assert.equal(never?.pulledAt, null)
    const manifest = looseManifest('get', 'get')
    await registry.metadata.deleteManifest(repository, manifest.digest)
    await registry.metadata.putManifest(repository, manifest)
    const again = await registry.metadata.findTagFacts(repository, parseTag('get'))
    assert.equal(again?.pulledAt, null)
  })
})
