import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { HttpRegistries } from '../../../src/storage/remote/http-registries.ts'

const manifest = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }),
)
const headers =
  'HTTP/1.1 200 OK\r\n' +
  `Content-Type: ${mediaTypes.ociIndex}\r\nContent-Length: ${manifest.length}\r\n` +
  `Docker-Content-Digest: ${digestOf(manifest)}\r\n\r\n`

interface RawRegistry extends AsyncDisposable {
  readonly host: string
  readonly connections: () => number
}

/** Has the manifest under every tag. @param body when it sends what does not belong to the answer to a HEAD. */
async function serveHeads(body: 'never' | 'at once' | 'with the next answer'): Promise<RawRegistry> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    sockets.add(socket)
    socket.setNoDelay()
    let owed = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', request => {
      socket.write(owed)
      owed = Buffer.alloc(0)
      const isHead = request.toString('latin1').startsWith('HEAD ')
      socket.write(headers)
      if (!isHead || body === 'at once') socket.write(manifest)
      else if (body === 'with the next answer') owed = manifest
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

describe('Connections after a HEAD', () => {
  const times = 10

  async function askEach(registry: RawRegistry): Promise<void> {
    // No pauses: what is tried again after one would be waited for.
    await using registries = new HttpRegistries({ sleep: async () => assert.fail('nothing is waited for') })
    const repository = registries.open(registry.host).repository(parseRepositoryName('team/app'))
    for (let index = 0; index < times; index += 1) {
      const { digest } = await repository.stat(parseReference(`v${index}`))
      assert.equal(digest, digestOf(manifest))
      const { bytes } = await repository.get(parseReference(`v${index}`))
      assert.deepEqual(bytes, manifest)
    }
  }

  it('are used again', async () => {
    await using registry = await serveHeads('never')
    await askEach(registry)
    assert.ok(registry.connections() <= 2, `${registry.connections()} connections for ${times} HEADs`)
  })

  for (const when of ['at once', 'with the next answer'] as const)
    it(`are not, where a body comes ${when} that does not belong there`, async () => {
      await using registry = await serveHeads(when)
      await askEach(registry)
    })
})
