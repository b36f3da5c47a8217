/** `registry.workers`: several processes behind one address. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exec } from '../support/process.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { file, tar } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { varveProgram } from '../support/varve.ts'

const workers = 3

describe('a registry with several workers', () => {
  let directory: TemporaryDirectory
  let registry: ServedRegistry
  let client: RegistryClient

  before(async () => {
    directory = await temporaryDirectory()
    registry = await serveRegistry(directory.path, '--workers', String(workers))
    client = new RegistryClient(registry.url)
  })
  after(async () => {
    await registry.stop()
    await directory.remove()
  })

  it('shares uploads, blobs and manifests among them', async () => {
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [tar(file('a', 'b'))] })
    const answers = await Promise.all(
      Array.from({ length: 30 }, () =>
        // Each on a connection of its own, which goes to the next worker.
        fetch(`${registry.url}/v2/team/app/manifests/1`, { headers: { Connection: 'close' } }),
      ),
    )
    assert.deepEqual(
      new Set(answers.map(answer => answer.headers.get('docker-content-digest'))),
      new Set([digest]),
    )
    assert.equal(workersOf(registry).length, workers)
  })

  it('adds their metrics up, and is ready', async () => {
    const text = await (await fetch(`${registry.debugUrl}/metrics`)).text()
    const [, count] =
      /^registry_http_requests_total\{handler="manifest",method="get",code="200"\} (\d+)$/m.exec(text) ?? []
    assert.equal(count, '30')
    assert.equal((await fetch(`${registry.debugUrl}/readyz`)).status, 200)
  })

  it('replaces one that is killed', async () => {
    const [victim] = workersOf(registry)
    assert.ok(victim !== undefined)
    process.kill(victim, 'SIGKILL')
    await eventually(() => {
      const now = workersOf(registry)
      return now.length === workers && !now.includes(victim)
    })
    assert.equal((await fetch(`${registry.url}/v2/`)).status, 200)
  })

  it('ends with all of them, and lets none outlive the process that was killed', async () => {
    const own = await temporaryDirectory()
    try {
      const killed = await serveRegistry(own.path, '--workers', '2')
      const orphans = workersOf(killed)
      assert.equal(orphans.length, 2)
      killed.process.kill('SIGKILL')
      await eventually(() => !orphans.some(isAlive))
      const stopped = await serveRegistry(own.path, '--workers', '2')
      const ended = workersOf(stopped)
      assert.equal(await stopped.stop(), 0)
      assert.ok(!ended.some(isAlive))
    } finally {
      await own.remove()
    }
  })

  it('says why it cannot start, in one sentence', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    assert.ok(address !== null && typeof address === 'object')
    const own = await temporaryDirectory()
    try {
      const args = ['--data', own.path, '--address', `127.0.0.1:${address.port}`, '--metrics-address', 'off']
      await assert.rejects(exec(varveProgram, ['serve', '--workers', '2', ...args]), error => {
        assert.ok(error instanceof Error)
        assert.match(
          error.message,
          new RegExp(`varve: Cannot listen on 127\\.0\\.0\\.1:${address.port}: .*EADDRINUSE`),
        )
        assert.doesNotMatch(error.message, /unexpected|node:internal/)
        return true
      })
    } finally {
      await own.remove()
      taken.close()
    }
  })
})

/** Its children. */
function workersOf({ process: { pid } }: ServedRegistry): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}

async function eventually(isSo: () => boolean): Promise<void> {
  for (let attempt = 0; !isSo(); attempt += 1) {
    assert.ok(attempt < 600, 'it did not become so in a minute')
    await sleep(100)
  }
}
