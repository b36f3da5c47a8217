import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { sourceOf } from '../../contract/image-repository.ts'
import { bytesOf, killSettings, type MeetingPlace, openPlace } from '../../support/killed-transfer.ts'
import { skipWithoutS3, startS3Server } from '../../support/s3-server.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const program = fileURLToPath(new URL('../../fixtures/programs/put-blob.ts', import.meta.url))
const MiB = 1024 * 1024
const { saveEveryBytes, partSizeBytes } = killSettings
const name = parseRepositoryName('acme/web')

/** What is not saved yet, one part being filled and one on its way, and what the streams hold. */
const mayBeLost = saveEveryBytes + 2 * partSizeBytes + 256 * 1024

async function killAmid(place: MeetingPlace, size: number, come: number): Promise<void> {
  const child = spawn(process.execPath, [program, JSON.stringify(place), `${size}`, `${come}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout }))
    if (line === 'stalled') child.kill('SIGKILL')
  const [, signal] = await ended
  assert.equal(signal, 'SIGKILL')
}

async function goesOnAfterKills(place: MeetingPlace): Promise<void> {
  const size = 70 * MiB + 12_345
  const bytes = bytesOf(size)
  const blob = { digest: digestOf(bytes), size }
  const come = 62 * MiB + 7
  for (const until of [33 * MiB + 1000, come]) await killAmid(place, size, until)

  await using opened = await openPlace(place)
  const repository = new OwnRegistry(opened).repository(name)
  const asked: number[] = []
  const kept = new Set<number>()
  await repository.putBlob(
    blob,
    (offset, options) => {
      asked.push(offset)
      return sourceOf(bytes)(offset, options)
    },
    { onStored: (_, ofThem) => kept.add(ofThem.kept) },
  )
  const [offset = 0, ...more] = asked
  assert.deepEqual(more, [])
  assert.ok(offset <= come && offset >= come - mayBeLost, `${offset} of ${come}`)
  assert.deepEqual(kept, new Set([offset]))
  assert.ok((await buffer((await repository.openBlob(blob.digest)).stream)).equals(bytes))
  assert.equal(await opened.metadata.findTransfer(name, blob.digest), undefined)
}

const withoutS3 = await skipWithoutS3('versitygw')

describe('A transfer whose process is killed, twice', () => {
  it('is gone on with from what was saved, in a directory', async () => {
    await using directory = await temporaryDirectory()
    await goesOnAfterKills({ directory: directory.path })
  })

  it('is gone on with from what was saved, in a bucket', { skip: withoutS3 }, async () => {
    await using directory = await temporaryDirectory()
    await using server = await startS3Server('versitygw')
    const { endpoint, region, bucket, credentials } = server
    await goesOnAfterKills({ directory: directory.path, bucket: { endpoint, region, bucket, credentials } })
  })
})
