import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type Agent, createServer, type IncomingMessage, request, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, request as requestHttps } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { readingAgent, readingHttpsAgent } from '../../../src/storage/objects/s3/reading-agent.ts'
import { selfSigned } from '../../support/self-signed.ts'

const bytes = randomBytes(3_000_017)

/** `/N` gives the first N bytes; `/N?chunked` without saying how many. */
const serve: RequestListener = ({ url = '' }, response) => {
  const { pathname, search } = new URL(url, 'http://x')
  const body = bytes.subarray(0, Number(pathname.slice(1)))
  if (search === '') response.setHeader('Content-Length', body.length)
  response.end(body)
}

for (const scheme of ['http', 'https'] as const)
  describe(`An agent that reads into the same memory (${scheme})`, () => {
    let server: Server
    let agent: Agent
    before(async () => {
      const tls = await selfSigned()
      server = scheme === 'http' ? createServer(serve) : createHttpsServer(tls, serve)
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const options = { keepAlive: true, maxSockets: 3 }
      agent = scheme === 'http' ? readingAgent(options) : readingHttpsAgent({ ...options, ca: tls.cert })
    })
    after(async () => {
      agent.destroy()
      server.close()
      await once(server, 'close')
    })

    async function get(path: string): Promise<IncomingMessage> {
      const { port } = server.address() as AddressInfo
      const send = scheme === 'http' ? request : requestHttps
      const sent = send({ host: '127.0.0.1', servername: 'localhost', port, path, agent })
      sent.end()
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      return response
    }

    it('gives the bytes that came, many at once and again and again on the same connections', async () => {
      const sizes = Array.from({ length: 30 }, (_, index) => (index * 104_729) % bytes.length)
      const used = new Set<unknown>()
      await Promise.all(
        [...sizes, 0, 1, bytes.length].map(async (size, index) => {
          const response = await get(`/${size}${index % 2 === 0 ? '' : '?chunked'}`)
          used.add(response.socket)
          const hash = createHash('sha256')
          // What is taken late must not have been overwritten meanwhile.
          const kept: Buffer[] = []
          for await (const chunk of response) {
            kept.push(chunk)
            if (kept.length % 7 === 0) await sleep(1)
          }
          for (const chunk of kept) hash.update(chunk)
          const expected = createHash('sha256').update(bytes.subarray(0, size)).digest('hex')
          assert.equal(hash.digest('hex'), expected)
        }),
      )
      assert.ok(used.size <= 3)
    })

    it('stops reading while nobody takes what has come', async () => {
      const response = await get(`/${bytes.length}`)
      const start = response.socket.bytesRead
      const read = () => response.socket.bytesRead - start
      for (let before = -1; read() !== before; await sleep(100)) before = read()
      assert.ok(read() < bytes.length / 2, `${read()} bytes were read`)
      let received = 0
      for await (const chunk of response) received += chunk.length
      assert.equal(received, bytes.length)
    })

    it('says that a connection broke', async () => {
      const response = await get(`/${bytes.length}`)
      response.socket.destroy()
      await assert.rejects(async () => {
        for await (const _ of response);
      })
    })
  })
