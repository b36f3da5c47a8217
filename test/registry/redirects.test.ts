import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BlobRedirects } from '../../src/registry/redirects.ts'
import { startRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

const bytes = Buffer.from('to be read elsewhere')

/** @param exempt whether clients get their blobs from the registry all the same. */
async function withRedirects(exempt: boolean, work: (client: RegistryClient, blob: string) => Promise<void>) {
  const redirects: BlobRedirects = {
    expiresInSeconds: 60,
    exempts: client => exempt && client === '127.0.0.1',
  }
  await using registry = await startRegistry({
    rules: { redirects },
    presigner: {
      presignGet: async (key, seconds) =>
        new URL(`https://store.example/${key}?expires=${seconds}&signature=a%2Bb`),
    },
  })
  const client = new RegistryClient(registry.url)
  await work(client, `/v2/team/app/blobs/${await client.pushBlob('team/app', bytes)}`)
}

describe('redirects to the object store', () => {
  it('send a GET there, ranges and conditions too, for as long as was set', async () => {
    await withRedirects(false, async (client, blob) => {
      for (const headers of [{}, { range: 'bytes=0-1' }, { 'if-none-match': '"other"' }]) {
        const { status, headers: answer, bytes: body } = await client.send('GET', blob, { headers })
        assert.equal(status, 307)
        assert.match(
          String(answer['location']),
          /^https:\/\/store\.example\/blobs\/[0-9a-f/]+\?expires=60&signature=a%2Bb$/,
        )
        assert.equal(answer['docker-content-digest'], blob.split('/').at(-1))
        assert.equal(answer['cache-control'], 'private, no-store')
        assert.equal(body.length, 0)
      }
    })
  })

  it('do not touch HEAD', async () => {
    await withRedirects(false, async (client, blob) => {
      const { status, headers } = await client.send('HEAD', blob)
      assert.equal(status, 200)
      assert.equal(headers['content-length'], String(bytes.length))
    })
  })

  it('are never given for what the repository does not have', async () => {
    await withRedirects(false, async (client, blob) => {
      const { status, headers } = await client.send('GET', blob.replace('team/app', 'other/app'))
      assert.equal(status, 404)
      assert.equal(headers['location'], undefined)
    })
  })

  it('spare the clients that cannot reach the store', async () => {
    await withRedirects(true, async (client, blob) => {
      const { status, bytes: body } = await client.send('GET', blob)
      assert.equal(status, 200)
      assert.deepEqual(body, bytes)
    })
  })
})
