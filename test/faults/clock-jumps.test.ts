/** A registry whose clock jumps half an hour ahead and back again, while clients push and garbage is collected. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { glob, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/storage/digest.ts'
import { skipWithout } from '../support/programs.ts'
import { RegistryClient, withQuery } from '../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const repository = 'team/app'
const halfAnHour = 1800
const settings = {
  collect: { graceHours: 1, intervalSeconds: 1 },
  registry: { uploadExpiryHours: 1, drainSeconds: 1 },
}

describe('A registry whose clock jumps', { skip: await skipWithout('faketime') }, () => {
  it('loses no push, ends no upload and deletes nothing early', async () => {
    await withClock(async (start, setClock) => {
      await using registry = await start()
      const client = new RegistryClient(registry.url)
      const chunked = randomBytes(5000)
      let location = await client.startUpload(repository)
      const patch = async (first: number): Promise<void> => {
        const body = chunked.subarray(first, first + 1000)
        const headers = { 'content-range': `${first}-${first + 999}` }
        const patched = await client.send('PATCH', location, { headers, body })
        assert.equal(patched.status, 202, `the chunk at ${first}`)
        location = String(patched.headers['location'])
      }
      await patch(0)
      // A body that goes on coming through all of the jumps.
      const streamed = randomBytes(3_000_000)
      const stream = new PassThrough()
      const streaming = client.send('PATCH', await client.startUpload(repository), { body: stream })
      stream.write(streamed.subarray(0, 1_000_000))
      // Named by no manifest yet, so that it is for the collector to see whether it is time.
      const loose = randomBytes(1000)
      await client.pushBlob(repository, loose)

      const pushed: Buffer[] = []
      let isOver = false
      const pushing = Promise.all(
        [1, 2, 3].map(async writer => {
          for (let index = 0; !isOver; index += 1) {
            const layer = randomBytes(2000)
            await client.pushImage(repository, `t${writer}-${index}`, layer)
            pushed.push(layer)
            await sleep(20)
          }
        }),
      )
      let first = 1000
      for (const seconds of [halfAnHour, 0, -halfAnHour, 0]) {
        await setClock(seconds)
        // The collector and the sweep look in the meantime.
        await sleep(1500)
        await patch(first)
        first += 1000
        stream.write(streamed.subarray(500_000 * (first / 1000), 500_000 * (first / 1000) + 500_000))
        if (seconds === -halfAnHour) assert.ok(pushed.length > 0)
      }
      isOver = true
      await pushing
      stream.end()
      const ended = await streaming
      assert.equal(ended.status, 202)
      const put = await client.send('PUT', withQuery(location, 'digest', digestOf(chunked)))
      assert.equal(put.status, 201)
      for (const bytes of [...pushed, chunked, loose]) {
        const got = await client.send('GET', `/v2/${repository}/blobs/${digestOf(bytes)}`)
        assert.ok(got.status === 200 && got.bytes.equals(bytes))
      }
      assertNoMistake(registry)
    })
  })

  it('lets an upload go on whose writer died while the clock was ahead', async () => {
    await withClock(async (start, setClock) => {
      const bytes = randomBytes(3000)
      await setClock(halfAnHour)
      const killed = await start()
      const before = new RegistryClient(killed.url)
      const first = await before.send('PATCH', await before.startUpload(repository), {
        body: bytes.subarray(0, 1000),
      })
      assert.equal(first.status, 202)
      const stream = new PassThrough()
      // Holds the session, and never ends.
      const cut = before.send('PATCH', String(first.headers['location']), { body: stream })
      stream.write(bytes.subarray(1000, 2000))
      await sleep(500)
      const gone = once(killed.process, 'exit')
      killed.process.kill('SIGKILL')
      await Promise.all([gone, assert.rejects(cut)])
      stream.destroy()

      await setClock(0)
      await using registry = await start()
      const client = new RegistryClient(registry.url)
      const headers = { 'content-range': '1000-2999' }
      const body = bytes.subarray(1000)
      const next = await client.send('PATCH', String(first.headers['location']), { headers, body })
      assert.equal(next.status, 202, next.bytes.toString())
      const close = withQuery(String(next.headers['location']), 'digest', digestOf(bytes))
      assert.equal((await client.send('PUT', close)).status, 201)
      assert.ok((await client.send('GET', `/v2/${repository}/blobs/${digestOf(bytes)}`)).bytes.equals(bytes))
      assertNoMistake(registry)
    })
  })
})

function assertNoMistake(registry: ServedRegistry): void {
  assert.deepEqual(
    registry.lines().filter(({ status }) => Number(status) >= 500),
    [],
  )
}

type Start = () => Promise<ServedRegistry>
/** By how many seconds the registry's clock is ahead from now on. */
type SetClock = (seconds: number) => Promise<void>

async function withClock(test: (start: Start, setClock: SetClock) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory()
  const clock = join(directory.path, 'clock')
  const config = join(directory.path, 'varve.json')
  await writeFile(config, JSON.stringify(settings))
  const setClock: SetClock = async seconds => {
    await writeFile(clock, `${seconds < 0 ? '' : '+'}${seconds}s\n`)
  }
  await setClock(0)
  const [library] = await Array.fromAsync(glob('/usr/lib/*/faketime/libfaketimeMT.so.1'))
  const variables = {
    LD_PRELOAD: String(library),
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    // What measures spans of time goes on as it does when a machine's clock is set.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  }
  const start: Start = async () => {
    Object.assign(process.env, variables)
    try {
      return await serveRegistry(directory.path, '--config', config)
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name]
    }
  }
  await test(start, setClock)
}
