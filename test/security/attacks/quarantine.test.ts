/** Blobs that are damaged, or said to be: nobody makes another one's blob go away, or be something else. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { withQuery } from '../../support/registry-client.ts'

describe('A blob of several tenants', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  before(async () => {
    registry = resources.use(await startAttacked({ 'storage.verifyReads': true, 'storage.cacheBytes': 0 }))
  })
  after(() => resources.disposeAsync())
  const client = (who: string) => registry.with(registry.login(who))
  const layerOf = (text: string) => Buffer.from(`${text} `.repeat(20_000))
  const get = async (who: string, repository: string, digest: Digest) =>
    await client(who).send('GET', `/v2/${repository}/blobs/${digest}`)

  /** Each has it; the object has other bytes of the same length then, and the blob is known for it. */
  async function damaged(text: string): Promise<{ layer: Buffer; digest: Digest }> {
    const layer = layerOf(text)
    await client('dave').pushImage('acme/shared', text, layer)
    await client('oscar').pushImage('other/shared', text, layer)
    await client('root').pushImage('site/shared', text, layer)
    const digest = digestOf(layer)
    const { objectKey } = await registry.metadata.findBlob(parseRepositoryName('acme/shared'), digest)
    const path = join(registry.directory, 'registry', 'objects', objectKey)
    const bytes = await readFile(path)
    bytes.writeUInt8((bytes[7] ?? 0) ^ 1, 7)
    await writeFile(path, bytes)
    const fault = { digest, objectKey, kind: 'corrupt', detail: 'by a test' } as const
    assert.equal(await registry.metadata.quarantineBlob(fault), true)
    return { layer, digest }
  }

  /** A session begins in its place, and is ended. */
  async function mountsNothing(repository: string, query: string): Promise<void> {
    const path = `/v2/${repository}/blobs/uploads/?mount=${query}`
    const { status, headers } = await client('oscar').send('POST', path)
    assert.equal(status, 202, query)
    assert.equal((await client('oscar').send('DELETE', headers['location'] ?? '')).status, 204)
  }

  it('that is damaged is brought back by its own bytes only, for all who have it', async () => {
    const { layer, digest } = await damaged('first')
    const wrong = Buffer.from(layer)
    wrong.writeUInt8(0, 3)
    await registry.unharmed(async () => {
      for (const body of [wrong, layer.subarray(1), Buffer.concat([layer, Buffer.of(0)]), Buffer.alloc(0)]) {
        const path = `/v2/other/evil/blobs/uploads/?digest=${digest}`
        assert.equal((await client('oscar').send('POST', path, { body })).status, 400)
        const location = await client('oscar').startUpload('other/shared')
        const patched = await client('oscar').send('PATCH', location, { body })
        const put = withQuery(patched.headers['location'] ?? location, 'digest', digest)
        assert.equal((await client('oscar').send('PUT', put)).status, 400)
        await client('oscar').send('DELETE', location)
      }
      // Another algorithm is another name.
      const other = `sha512:${createHash('sha512').update(layer).digest('hex')}`
      await mountsNothing('other/evil', `${other}&from=other/shared`)
      for (const [who, repository] of [
        ['gina', 'acme/shared'],
        ['oscar', 'other/shared'],
      ] as const)
        assert.equal((await get(who, repository, digest)).status, 404)
    })
    assert.equal((await client('oscar').pushBlob('other/mine', layer)).toString(), digest)
    for (const [who, repository] of [
      ['gina', 'acme/shared'],
      ['oscar', 'other/shared'],
      ['zoe', 'site/shared'],
    ] as const)
      assert.deepEqual((await get(who, repository, digest)).bytes, layer)
  })

  it('that is damaged is told of to those only who may pull it, and cannot be had by a mount', async () => {
    const { digest } = await damaged('second')
    await registry.unharmed(async () => {
      const told = await get('gina', 'acme/shared', digest)
      assert.equal(told.status, 404)
      assert.match(told.bytes.toString(), /damaged/)
      for (const who of ['zoe', 'oscar']) {
        const { status, bytes } = await get(who, 'acme/shared', digest)
        assert.equal(status, 403)
        assert.doesNotMatch(bytes.toString(), /damaged/)
        const absent = await get(who, 'acme/shared', digestOf(Buffer.from('nothing')))
        assert.equal(bytes.toString(), absent.bytes.toString())
      }
      // Whoever does not have it hears of nothing, though others do.
      const elsewhere = await get('oscar', 'other/app', digest)
      assert.doesNotMatch(elsewhere.bytes.toString(), /damaged/)
      for (const from of ['', '&from=other/shared', '&from=site/shared', '&from=acme/shared'])
        await mountsNothing('other/app', `${digest}${from}`)
      for (const who of ['mia', 'oscar', 'zoe', 'gina'])
        for (const [method, path] of [
          ['GET', '/api/v1/scrub'],
          ['GET', '/api/v1/scrub/faults'],
          ['GET', '/api/v1/scrub/strays'],
          ['POST', '/api/v1/scrub/runs'],
        ] as const) {
          const call =
            method === 'GET'
              ? {}
              : { body: '{"takesAll":true}', headers: { 'content-type': 'application/json' } }
          const { status, bytes } = await client(who).send(method, path, call)
          assert.equal(status, 403, `${who} ${path}`)
          assert.doesNotMatch(bytes.toString(), /sha256|acme/)
        }
    })
  })

  it('that is whole stays, whatever its readers do', async () => {
    const layer = layerOf('third')
    await client('dave').pushImage('acme/whole', '1', layer)
    await client('oscar').pushImage('other/whole', '1', layer)
    const path = `/v2/other/whole/blobs/${digestOf(layer)}`
    await registry.unharmed(async () => {
      for (let count = 0; count < 10; count += 1) {
        const raw = await connectRaw(registry.url)
        raw.socket.write(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${registry.login('oscar')}\r\n\r\n`,
        )
        await raw.until(/200 OK/)
        raw.socket.destroy()
      }
      for (const range of ['bytes=0-0', 'bytes=5-2', 'bytes=-1', 'bytes=999999999-', 'bytes=0-1,3-4', 'x'])
        await client('oscar').send('GET', path, { headers: { range } })
      for (const headers of [
        { 'if-match': '"x"' },
        { 'if-none-match': '*' },
        { 'if-range': '"x"', range: 'bytes=0-1' },
      ])
        await client('oscar').send('GET', path, { headers })
    })
    assert.deepEqual(await registry.metadata.countFaults(), { corrupt: 1, missing: 0 })
    assert.deepEqual((await get('gina', 'acme/whole', digestOf(layer))).bytes, layer)
  })
})
