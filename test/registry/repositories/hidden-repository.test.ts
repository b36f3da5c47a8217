/** A repository that was deleted, or renamed, is for everybody as one that was never there: byte for byte. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type SecuredRegistry, startSecured } from '../../support/secured-registry.ts'

const askers = [undefined, 'zoe', 'gina', 'dave', 'mia', 'admin'] as const
const layer = Buffer.from('a layer of what goes')

describe('A repository that is gone', () => {
  let registry: SecuredRegistry
  let manifest: Digest
  const blob = digestOf(layer)
  before(async () => {
    registry = await startSecured()
    const admin = registry.as('admin')
    for (const tenant of ['acme', 'site'])
      for (const name of ['deleted', 'renamed', 'purged'])
        manifest = await admin.pushImage(`${tenant}/${name}`, 'v1', layer)
    await admin.pushImage('site/stays', 'v1', layer)
    const { metadata } = registry
    for (const tenant of ['acme', 'site']) {
      await metadata.deleteRepository(parseRepositoryName(`${tenant}/deleted`))
      await metadata.deleteRepository(parseRepositoryName(`${tenant}/purged`))
      await metadata.purgeRepository(parseRepositoryName(`${tenant}/purged`))
      const [from, to] = [`${tenant}/renamed`, `${tenant}/moved`].map(parseRepositoryName)
      assert.ok(from !== undefined && to !== undefined)
      await metadata.renameRepository({ from, to })
    }
  })
  after(() => registry.stop())

  /** What one may learn by asking: all that is answered, but for what is different each time. */
  async function answersAbout(asker: string | undefined, name: string): Promise<unknown[]> {
    const client = registry.as(asker)
    const answers: unknown[] = []
    for (const [method, path] of [
      ['GET', 'tags/list'],
      ['GET', 'manifests/v1'],
      ['HEAD', 'manifests/v1'],
      ['GET', `manifests/${manifest}`],
      ['DELETE', `manifests/${manifest}`],
      ['DELETE', 'manifests/v1'],
      ['GET', `blobs/${blob}`],
      ['HEAD', `blobs/${blob}`],
      ['DELETE', `blobs/${blob}`],
      ['GET', `referrers/${manifest}`],
      ['GET', 'blobs/uploads/6f1b7f4e-0d5a-4a53-9e6c-3a3f1f6a2b11'],
    ] as const) {
      const { status, headers, bytes } = await client.send(method, `/v2/${name}/${path}`)
      const { date: _date, 'x-request-id': _id, ...rest } = headers
      const plain = (text: string) => text.replaceAll(name, 'NAME')
      answers.push([method, path, status, plain(JSON.stringify(rest)), plain(bytes.toString())])
    }
    return answers
  }

  for (const asker of askers)
    it(`is as one that was never there for ${asker ?? 'nobody in particular'}`, async () => {
      for (const tenant of ['acme', 'site']) {
        // Of the same length, so that the lengths of answers are the same as well.
        const expected = { deleted: 'nothing', renamed: 'nothing', purged: 'nought' }
        for (const [gone, absent] of Object.entries(expected))
          assert.deepEqual(
            await answersAbout(asker, `${tenant}/${gone}`),
            await answersAbout(asker, `${tenant}/${absent}`),
            `${tenant}/${gone}`,
          )
      }
    })

  it('is in no catalog', async () => {
    for (const asker of askers) {
      const { bytes } = await registry.as(asker).send('GET', '/v2/_catalog')
      assert.doesNotMatch(bytes.toString(), /deleted|renamed|purged/, asker)
      if (asker === 'admin') assert.match(bytes.toString(), /"acme\/moved","site\/moved","site\/stays"/)
    }
  })

  it('gives nothing to a mount, named or not', async () => {
    for (const from of ['acme/deleted', 'acme/renamed', 'acme/purged', 'acme/nothing']) {
      const path = `/v2/acme/target/blobs/uploads/?mount=${blob}&from=${from}`
      assert.equal((await registry.as('mia').send('POST', path)).status, 202, from)
    }
    const moved = `/v2/acme/target/blobs/uploads/?mount=${blob}&from=acme/moved`
    assert.equal((await registry.as('mia').send('POST', moved)).status, 201)
  })

  it('is a new one after a push', async () => {
    const mia = registry.as('mia')
    const pushed = await mia.pushImage('acme/deleted', 'new', Buffer.from('another'))
    const { bytes } = await mia.send('GET', '/v2/acme/deleted/tags/list')
    assert.deepEqual(JSON.parse(bytes.toString()), { name: 'acme/deleted', tags: ['new'] })
    assert.equal((await mia.send('GET', `/v2/acme/deleted/manifests/${pushed}`)).status, 200)
    assert.equal((await mia.send('GET', `/v2/acme/deleted/manifests/${manifest}`)).status, 404)
  })
})
