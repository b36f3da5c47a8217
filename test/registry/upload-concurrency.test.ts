import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/storage/digest.ts'
import { untilArrived, untilHeld } from '../support/held-upload.ts'
import { keepLog } from '../support/log-lines.ts'
import { connectRaw } from '../support/raw-http.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient, withQuery } from '../support/registry-client.ts'

const KiB = 1024
const kept = keepLog()
const settings = { partSizeBytes: 64 * KiB }

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry({ log: kept.log, settings })
  client = new RegistryClient(registry.url)
})
after(() => registry.stop())

/** Sends a request whose body breaks off after a while, and waits until the registry has done with it. */
async function breakOff(
  method: string,
  location: string,
  { announced, sent, afterMs = 0 }: { announced: number; sent: Buffer; afterMs?: number },
): Promise<void> {
  const id = randomUUID()
  const raw = await connectRaw(registry.url)
  raw.socket.write(
    `${method} ${location} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nContent-Length: ${announced}\r\n\r\n`,
  )
  raw.socket.write(sent)
  await sleep(afterMs)
  raw.socket.end()
  await kept.find(line => line['requestId'] === id && line['message'] === 'request')
  raw.socket.destroy()
}

describe('a body that breaks off', () => {
  const bytes = randomBytes(300 * KiB)
  const digest = digestOf(bytes)

  it('keeps what arrived, and the upload goes on from there', async () => {
    const sent = bytes.subarray(0, 200 * KiB)
    // Bytes that the registry had no time to read may be lost with the connection, so it gets more and more of it.
    for (const afterMs of [0, 50, 500, 5000]) {
      const start = await client.startUpload('broken')
      await breakOff('PATCH', start, { announced: bytes.length, sent, afterMs })
      const { headers } = await client.send('GET', start)
      const offset = Number(headers['range']?.split('-')[1]) + 1
      assert.ok(offset <= sent.length)
      if (offset === 1) continue
      const rest = {
        headers: { 'content-range': `${offset}-${bytes.length - 1}` },
        body: bytes.subarray(offset),
      }
      const next = await client.send('PATCH', String(headers['location']), rest)
      assert.equal(next.status, 202)
      const put = await client.send('PUT', withQuery(String(next.headers['location']), 'digest', digest))
      assert.equal(put.status, 201)
      assert.deepEqual((await client.send('GET', `/v2/broken/blobs/${digest}`)).bytes, bytes)
      if (offset === sent.length) return
    }
    assert.fail('bytes that had all the time to arrive were not kept')
  })

  it('is not appended again when it is sent again in full to the same Location', async () => {
    const start = await client.startUpload('broken')
    await client.send('PATCH', start, { body: bytes.subarray(0, 100) })
    await breakOff('PATCH', start, { announced: bytes.length, sent: bytes.subarray(0, 100) })
    const again = await client.send('PATCH', start, { body: bytes })
    assert.deepEqual([again.status, again.headers['range']], [416, '0-99'])
  })

  it('never becomes a blob, in a closing request or a single one', async () => {
    const sent = bytes.subarray(0, 1000)
    for (const afterMs of [0, 100]) {
      const start = await client.startUpload('broken')
      const close = withQuery(start, 'digest', digestOf(sent))
      await breakOff('PUT', close, { announced: bytes.length, sent, afterMs })
      const single = `/v2/broken/blobs/uploads/?digest=${digestOf(sent)}`
      await breakOff('POST', single, { announced: bytes.length, sent, afterMs })
      assert.equal((await client.send('HEAD', `/v2/broken/blobs/${digestOf(sent)}`)).status, 404)
      assert.equal((await client.send('GET', start)).status, 204)
    }
  })

  it('is no failure of ours', () => {
    assert.deepEqual(
      kept.lines().filter(({ level }) => level !== 'info'),
      [],
    )
  })
})

describe('two requests to one session at once', () => {
  it('never interleave: the later one waits and is then refused', async () => {
    const start = await client.startUpload('race')
    const slow = new PassThrough()
    const first = client.send('PATCH', start, { body: slow })
    slow.write(Buffer.alloc(100, 'a'))
    await untilHeld(registry, start)
    const second = client.send('PATCH', start, { body: Buffer.alloc(50, 'b') })
    await untilArrived(client)
    await sleep(50)
    slow.end(Buffer.alloc(100, 'a'))
    assert.equal((await first).status, 202)
    const { status, codes, headers } = await second
    assert.deepEqual([status, codes, headers['range']], [416, ['RANGE_INVALID'], '0-199'])
    const digest = digestOf(Buffer.alloc(200, 'a'))
    assert.equal((await client.send('PUT', withQuery(start, 'digest', digest))).status, 201)
  })

  it('are refused without a state, too', async () => {
    const [path = ''] = (await client.startUpload('race')).split('?')
    const slow = new PassThrough()
    const first = client.send('PATCH', path, { body: slow })
    slow.write('a')
    await untilHeld(registry, path)
    const second = client.send('PATCH', path, { body: 'b' })
    await untilArrived(client)
    await sleep(100)
    slow.end()
    assert.deepEqual([(await first).status, (await second).status], [202, 416])
  })

  it('leave one winner, however many there are', async () => {
    for (let round = 0; round < 5; round++) {
      const start = await client.startUpload('race')
      const bodies = Array.from({ length: 6 }, (_, index) => Buffer.alloc(100 * KiB, 65 + index))
      const statuses = await Promise.all(
        bodies.map(async body => (await client.send('PATCH', start, { body })).status),
      )
      assert.equal(statuses.filter(status => status === 202).length, 1)
      assert.equal(statuses.filter(status => status === 416).length, 5)
      const winner = bodies[statuses.indexOf(202)] ?? Buffer.alloc(0)
      const { headers } = await client.send('GET', start)
      assert.equal(headers['range'], `0-${100 * KiB - 1}`)
      const close = withQuery(String(headers['location']), 'digest', digestOf(winner))
      assert.equal((await client.send('PUT', close)).status, 201)
    }
  })
})

describe('another replica', () => {
  it('goes on with a session, and sees a blob at once', async () => {
    const uploadSecret = Buffer.from('shared')
    await using one = await startRegistry({ uploadSecret, settings })
    await using two = await startRegistry({ uploadSecret, settings, directory: one.directory })
    const [left, right] = [new RegistryClient(one.url), new RegistryClient(two.url)]
    const bytes = randomBytes(150 * KiB)
    const digest = digestOf(bytes)
    const half = 75 * KiB
    const start = await left.startUpload('shared')
    const chunk = { headers: { 'content-range': `0-${half - 1}` }, body: bytes.subarray(0, half) }
    const next = await left.send('PATCH', start, chunk)
    const location = String(next.headers['location'])
    assert.equal((await right.send('PATCH', start, { body: bytes })).status, 416)
    const last = await right.send('PATCH', location, { body: bytes.subarray(half) })
    const close = withQuery(String(last.headers['location']), 'digest', digest)
    assert.equal((await left.send('PUT', close)).status, 201)
    assert.deepEqual((await right.send('GET', `/v2/shared/blobs/${digest}`)).bytes, bytes)
  })
})

describe('a registry that is stopped', () => {
  it('saves what running uploads have brought, for the next one to go on with', async () => {
    const bytes = randomBytes(100 * KiB)
    await using data = await startRegistry()
    const stopped = await startRegistry({ directory: data.directory, timeouts: { stopMs: 300 } })
    const start = await new RegistryClient(stopped.url).startUpload('stopped')
    const raw = await connectRaw(stopped.url)
    raw.socket.write(`PATCH ${start} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`)
    raw.socket.write(bytes)
    await stopped.stop()
    const next = new RegistryClient(data.url)
    const { headers } = await next.send('GET', start)
    assert.equal(headers['range'], `0-${bytes.length - 1}`)
    const close = withQuery(String(headers['location']), 'digest', digestOf(bytes))
    assert.equal((await next.send('PUT', close)).status, 201)
  })
})
