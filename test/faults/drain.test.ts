import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { digestOf } from '../../src/storage/digest.ts'
import { connectRaw } from '../support/raw-http.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bytes = Buffer.from('0123456789')
const head = `POST /v2/a/blobs/uploads/?digest=${digestOf(bytes)} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n`

/** Resolves once the process takes no connections any more. */
async function untilRefused(url: string): Promise<void> {
  for (;;) {
    try {
      ;(await connectRaw(url)).socket.destroy()
    } catch {
      return
    }
  }
}

/** Resolves once the registry is reading the upload. */
async function untilUploading(debugUrl: string): Promise<void> {
  for (;;)
    if (/^varve_uploads_open 1$/m.test(await (await request(`${debugUrl}/metrics`)).body.text())) return
}

describe('varve serve, asked to stop', () => {
  it('lets an upload that runs finish, takes no new connection, and ends with 0', async () => {
    await using directory = await temporaryDirectory()
    await using registry = await serveRegistry(directory.path)
    const raw = await connectRaw(registry.url)
    raw.socket.write(head)
    raw.socket.write('01234')
    await untilUploading(registry.debugUrl)
    const stopped = registry.stop()
    await untilRefused(registry.url)
    const ready = await request(`${registry.debugUrl}/readyz`)
    assert.equal(ready.statusCode, 503)
    await ready.body.dump()
    raw.socket.write('56789')
    assert.match(await raw.ended(), /^HTTP\/1.1 201 Created/)
    assert.equal(await stopped, 0)
    await using again = await serveRegistry(directory.path)
    const { body } = await request(`${again.url}/v2/a/blobs/${digestOf(bytes)}`)
    assert.equal(await body.text(), bytes.toString())
  })

  it('cuts an upload that does not finish within drainSeconds, and ends with 0', async () => {
    await using directory = await temporaryDirectory()
    process.env['VARVE_REGISTRY_DRAIN_SECONDS'] = '1'
    const starting = serveRegistry(directory.path)
    delete process.env['VARVE_REGISTRY_DRAIN_SECONDS']
    await using registry = await starting
    const raw = await connectRaw(registry.url)
    raw.socket.write(head)
    raw.socket.write('01234')
    await untilUploading(registry.debugUrl)
    const closed = once(raw.socket, 'close')
    assert.equal(await registry.stop(), 0)
    await closed
    assert.equal(raw.received(), '')
  })
})
