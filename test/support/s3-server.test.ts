import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { s3Client, s3ServerKinds, skipWithoutS3, startS3Server } from './s3-server.ts'

for (const kind of s3ServerKinds)
  describe(`${kind} for tests`, { skip: await skipWithoutS3(kind) }, () => {
    it('has an empty bucket, keeps objects in it, and is gone when stopped', async () => {
      const server = await startS3Server(kind)
      const client = s3Client(server)
      const object = { Bucket: server.bucket, Key: 'a/b' }
      try {
        const listed = await client.send(new ListObjectsV2Command({ Bucket: server.bucket }))
        assert.equal(listed.KeyCount, 0)
        const { ETag } = await client.send(new PutObjectCommand({ ...object, Body: 'bytes' }))
        assert.equal(ETag, `"${createHash('md5').update('bytes').digest('hex')}"`)
        const { Body } = await client.send(new GetObjectCommand(object))
        assert.equal(await Body?.transformToString(), 'bytes')
      } finally {
        client.destroy()
        await server.stop()
      }
      await assert.rejects(fetch(server.endpoint))
    })

    it('refuses whoever does not have the secret', async () => {
      await using server = await startS3Server(kind)
      const credentials = { ...server.credentials, secretAccessKey: 'guessed-wrong' }
      const client = s3Client({ ...server, credentials })
      const attempt = client.send(new ListObjectsV2Command({ Bucket: server.bucket }))
      await assert.rejects(attempt, { name: 'SignatureDoesNotMatch' })
      client.destroy()
    })
  })
