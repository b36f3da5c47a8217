import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

describe('clients that leave', () => {
  it('client-leaves-while-a-blob-opens: end neither the process nor anybody else', {
    timeout: 60_000,
  }, async () => {
    await using registry = await startRegistry()
    const client = new RegistryClient(registry.url)
    const bytes = randomBytes(3_000_000)
    const digest = await client.pushBlob('team/app', bytes)
    const path = `/v2/team/app/blobs/${digest}`
    const ranges = 'Range: bytes=0-1000000,2000000-2999999\r\n'
    // At every moment of an answer: an error that comes before anybody listens to it once ended the process.
    await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const { port } = new URL(registry.url)
        const socket = connect(Number(port), '127.0.0.1')
        socket.on('error', () => {})
        await once(socket, 'connect')
        socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${index % 2 === 0 ? ranges : ''}\r\n`)
        await sleep((index % 60) / 4)
        socket.destroy()
      }),
    )
    assert.ok((await client.send('GET', path)).bytes.equals(bytes))
  })
})
