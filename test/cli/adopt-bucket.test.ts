import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { adoptedObjectKey } from '../../src/storage/objects/keys.ts'
import { S3ObjectStore } from '../../src/storage/objects/s3/s3-object-store.ts'
import { ImagePusher } from '../support/image-pusher.ts'
import { LegacyFiles } from '../support/legacy-files.ts'
import { runVarve } from '../support/run-varve.ts'
import { skipWithoutS3, startS3Server } from '../support/s3-server.ts'
import { serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve adopt of a bucket', { skip: await skipWithoutS3('versitygw') }, () => {
  it('uses the objects of the same bucket, and copies those to a directory', async () => {
    await using server = await startS3Server('versitygw')
    await using directory = await temporaryDirectory()
    const files = new LegacyFiles()
    files.image('team/app', 'latest', [Buffer.from('one'), Buffer.from('two')])
    await using bucket = await S3ObjectStore.open(server)
    for (const [path, bytes] of files.files)
      await bucket.put(adoptedObjectKey(`docker/registry/v2/${path}`) ?? assert.fail(path), bytes)

    const { accessKeyId, secretAccessKey } = server.credentials
    const s3 = {
      bucket: server.bucket,
      prefix: 'varve/',
      endpoint: server.endpoint,
      accessKeyId,
      secretAccessKey,
    }
    for (const [driver, how] of [
      ['s3', 'used'],
      ['filesystem', 'copied'],
    ] as const) {
      const data = join(directory.path, driver)
      const config = `${data}.yml`
      await writeFile(config, JSON.stringify({ data, storage: { driver, s3 } }))
      const ran = await runVarve(['adopt', '--config', config, '--from', `s3://${server.bucket}`])
      assert.equal(ran.code, 0, ran.stdout + ran.stderr)
      const lines = ran.stdout
        .trim()
        .split('\n')
        .map(text => JSON.parse(text) as Record<string, unknown>)
      assert.deepEqual(lines[0], { type: 'begun', from: `s3://${server.bucket}`, blobs: how, trust: false })
      await using registry = await serveRegistry(data, '--config', config)
      const inventory = await new ImagePusher(registry.url).inventory()
      assert.equal(inventory.size, 4, 'a manifest, its config and two layers')
    }
    assert.equal((await Array.fromAsync(bucket.listNames('varve/'))).length, 0)
  })
})
