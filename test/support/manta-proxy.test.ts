import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type MantaOptions, type MantaProxy, startMantaProxy } from './manta-proxy.ts'
import { type S3TestServer, s3Client, s3ServerKinds, skipWithoutS3, startS3Server } from './s3-server.ts'

const mebibyte = 1024 * 1024
const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

for (const kind of s3ServerKinds)
  describe(`${kind} with Manta's manners`, { skip: await skipWithoutS3(kind) }, () => {
    let server: S3TestServer
    let manta: MantaProxy
    let client: S3Client
    let Bucket: string

    const open = async (options?: MantaOptions): Promise<void> => {
      manta = await startMantaProxy(server, options)
      client = s3Client(manta)
    }
    const close = async (): Promise<void> => {
      client.destroy()
      await manta.stop()
    }
    const put = (Key: string, Body: string) => client.send(new PutObjectCommand({ Bucket, Key, Body }))
    const startUpload = async (Key: string): Promise<{ Bucket: string; Key: string; UploadId: string }> => {
      const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
      return { Bucket, Key, UploadId }
    }

    before(async () => {
      server = await startS3Server(kind)
      Bucket = server.bucket
    })
    after(() => server.stop())

    describe('as it is', () => {
      before(() => open())
      after(close)
      beforeEach(() => manta.forgetRequests())

      it('says ETags without quotes, and some of them are UUIDs', async () => {
        const etags = new Set<string>()
        for (let index = 0; index < 16; index += 1) {
          const Key = `etags/${index}`
          assert.equal((await put(Key, 'x')).ETag, md5('x'))
          const { ETag = '' } = await client.send(new HeadObjectCommand({ Bucket, Key }))
          const body = await client.send(new GetObjectCommand({ Bucket, Key }))
          assert.equal(body.ETag, ETag)
          await body.Body?.transformToString()
          etags.add(
            ETag === md5('x')
              ? 'MD5'
              : /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(ETag)
                ? 'UUID'
                : ETag,
          )
        }
        assert.deepEqual([...etags].sort(), ['MD5', 'UUID'])
        const { Contents } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'etags/1' }))
        assert.equal(Contents?.[0]?.ETag, `"${md5('x')}"`)
      })

      it('says NoSuchKey when what is to be deleted is absent', async () => {
        await put('deleted', 'x')
        await client.send(new DeleteObjectCommand({ Bucket, Key: 'deleted' }))
        await rejects(client.send(new DeleteObjectCommand({ Bucket, Key: 'deleted' })), 404, 'NoSuchKey')
      })

      it('reports what is absent as an error of DeleteObjects, and deletes the rest', async () => {
        await put('many/a', 'x')
        await put('many/b', 'x')
        for (const [Quiet, deleted] of [
          [false, ['many/a']],
          [true, undefined],
        ] as const) {
          const Objects = [{ Key: Quiet ? 'many/b' : 'many/a' }, { Key: 'many/none' }]
          const answer = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet } }))
          assert.deepEqual(
            answer.Deleted?.map(({ Key }) => Key),
            deleted,
          )
          assert.deepEqual(
            answer.Errors?.map(({ Key, Code }) => [Key, Code]),
            [['many/none', 'NoSuchKey']],
          )
        }
        await rejects(client.send(new HeadObjectCommand({ Bucket, Key: 'many/b' })), 404)
      })

      it('lists by token only: StartAfter is ignored, the token is the last name', async () => {
        for (const name of ['a', 'b', 'c/1', 'c/2', 'd']) await put(`list/${name}`, 'xy')
        const Prefix = 'list/'
        const list = (input: object) => client.send(new ListObjectsV2Command({ Bucket, Prefix, ...input }))
        const names = (page: { Contents?: { Key?: string | undefined }[] | undefined }) =>
          page.Contents?.map(({ Key }) => Key)
        const all = await list({ StartAfter: 'list/c' })
        assert.equal(all.KeyCount, 5)
        assert.deepEqual([all.Prefix ?? '', all.MaxKeys], ['', 1024])
        const first = await list({ MaxKeys: 2 })
        assert.deepEqual([first.IsTruncated, first.NextContinuationToken], [true, 'list/b'])
        const next = await list({ ContinuationToken: first.NextContinuationToken })
        assert.deepEqual([next.IsTruncated, names(next)], [false, ['list/c/1', 'list/c/2', 'list/d']])
        const groups = await list({ Delimiter: '/' })
        assert.equal(groups.CommonPrefixes, undefined)
        assert.deepEqual(
          groups.Contents?.map(({ Key, Size }) => [Key, Size]),
          [
            ['list/a', 2],
            ['list/b', 2],
            ['list/c/', 0],
            ['list/d', 2],
          ],
        )
        await rejects(list({ MaxKeys: 0 }), 400, 'InvalidArgumentError')
        await rejects(list({ MaxKeys: 1025 }), 400, 'InvalidArgumentError')
        assert.equal((await list({ MaxKeys: 1024 })).KeyCount, 5)
        await rejects(list({ EncodingType: 'url' }), 400, 'InvalidArgument')
        await rejects(list({ Delimiter: '//' }), 400, 'InvalidArgument')
      })

      it('does not know of uploads, of copies into parts, nor of attributes', async () => {
        const upload = await startUpload('unlisted')
        const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
        assert.equal(Uploads, undefined)
        const copy = new UploadPartCopyCommand({ ...upload, PartNumber: 1, CopySource: `${Bucket}/unlisted` })
        await rejects(client.send(copy), 501, 'NotImplemented')
        const attributes = { Bucket, Key: 'unlisted', ObjectAttributes: ['ETag' as const] }
        await rejects(client.send(new GetObjectAttributesCommand(attributes)), 501, 'NotImplemented')
        await client.send(new AbortMultipartUploadCommand(upload))
      })

      it('finds out at Complete that parts are too small or have a gap', async () => {
        const upload = await startUpload('parts')
        const Parts: { PartNumber: number; ETag: string }[] = []
        for (const [PartNumber, size] of [
          [1, 5 * mebibyte],
          [2, 5 * mebibyte - 1],
          [3, 1],
        ] as const) {
          const part = await client.send(
            new UploadPartCommand({ ...upload, PartNumber, Body: Buffer.alloc(size) }),
          )
          assert.match(part.ETag ?? '', /^[0-9a-f]{32}$/)
          Parts.push({ PartNumber, ETag: part.ETag ?? '' })
        }
        const complete = (parts: typeof Parts) =>
          client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }))
        await rejects(complete(Parts), 400, 'EntityTooSmall')
        await rejects(complete(Parts.slice(1)), 400, 'InvalidPart')
        await rejects(complete(Parts.filter(({ PartNumber }) => PartNumber !== 2)), 400, 'InvalidPart')
        await rejects(client.send(new UploadPartCommand({ ...upload, PartNumber: 10_001, Body: 'x' })), 400)
        await complete(Parts.slice(0, 2))
        const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket, Key: 'parts' }))
        assert.equal(ContentLength, 10 * mebibyte - 1)
        await rejects(complete(Parts), 404, 'NoSuchUpload')
      })

      it('answers a large part of an upload that is gone, each time', async () => {
        const upload = await startUpload('gone')
        await client.send(new AbortMultipartUploadCommand(upload))
        for (let attempt = 0; attempt < 4; attempt += 1) {
          const part = { ...upload, PartNumber: 1, Body: Buffer.alloc(5 * mebibyte) }
          await rejects(client.send(new UploadPartCommand(part)), 404, 'NoSuchUpload')
        }
      })

      it('never lets If-Match match; If-None-Match: * works', async () => {
        const { ETag } = await put('conditional', 'x')
        const object = { Bucket, Key: 'conditional' }
        await rejects(client.send(new PutObjectCommand({ ...object, Body: 'y', IfMatch: ETag })), 412)
        await rejects(client.send(new GetObjectCommand({ ...object, IfMatch: ETag })), 412)
        await rejects(client.send(new PutObjectCommand({ ...object, Body: 'y', IfNoneMatch: '*' })), 412)
        await client.send(new PutObjectCommand({ ...object, Key: 'new', Body: 'y', IfNoneMatch: '*' }))
        const other = { ...object, Key: 'none', Body: 'y', IfNoneMatch: ETag }
        await rejects(client.send(new PutObjectCommand(other)), 404, 'NoSuchKey')
      })

      it('takes plain keys only', async () => {
        for (const key of ['sha256:aa', 'a b', 'a+b', 'é', 'a//b', 'a/', 'a/../b', 'x'.repeat(1025)])
          await rejects(put(key, 'x'), 422, 'InvalidBucketObjectName')
        await put('Az09._-/x', 'x')
        const Delete = { Objects: [{ Key: 'Az09._-/x' }, { Key: 'a:b' }] }
        await rejects(client.send(new DeleteObjectsCommand({ Bucket, Delete })), 422)
      })

      it('forgets checksums, and takes aws-chunked only as that', async () => {
        const object = { Bucket, Key: 'checksum' }
        const stored = await client.send(
          new PutObjectCommand({ ...object, Body: 'x', ChecksumAlgorithm: 'CRC32' }),
        )
        assert.equal(stored.ChecksumCRC32, undefined)
        const head = await client.send(new HeadObjectCommand({ ...object, ChecksumMode: 'ENABLED' }))
        assert.equal(head.ChecksumCRC32, undefined)
        const encoded = { ...object, Body: 'x', ContentEncoding: 'aws-chunked,gzip' }
        await rejects(client.send(new PutObjectCommand(encoded)), 400, 'InvalidArgument')
      })

      it('refuses a wrong Content-MD5 in its own words', async () => {
        const wrong = {
          Bucket,
          Key: 'md5',
          Body: 'x',
          ContentMD5: createHash('md5').update('y').digest('base64'),
        }
        await rejects(client.send(new PutObjectCommand(wrong)), 400, 'ContentMD5Mismatch')
      })

      it('refuses writes when it is full, and nothing else', async () => {
        await put('before', 'x')
        manta.isFull = true
        await rejects(put('full', 'x'), 507, 'NotEnoughSpace')
        await rejects(startUpload('full'), 507, 'NotEnoughSpace')
        await client.send(new HeadObjectCommand({ Bucket, Key: 'before' }))
        manta.isFull = false
        await put('full', 'x')
      })

      it('presigns GET, and DELETE not', async () => {
        await put('signed', 'bytes')
        const object = { Bucket, Key: 'signed' }
        const get = await fetch(await getSignedUrl(client, new GetObjectCommand(object)))
        assert.equal(await get.text(), 'bytes')
        const url = await getSignedUrl(client, new DeleteObjectCommand(object))
        assert.equal((await fetch(url, { method: 'DELETE' })).status, 501)
      })

      it('still has the server check signatures', async () => {
        const credentials = { ...manta.credentials, secretAccessKey: 'guessed-wrong' }
        const stranger = s3Client({ ...manta, credentials })
        for (const command of [
          new ListObjectsV2Command({ Bucket }),
          new ListMultipartUploadsCommand({ Bucket }),
        ])
          await rejects(stranger.send(command as ListObjectsV2Command), 403, 'SignatureDoesNotMatch')
        stranger.destroy()
      })

      it('looks for the bucket in the path alone', async () => {
        const url = new URL(manta.endpoint)
        const request = `GET /some-key HTTP/1.1\r\nHost: ${Bucket}.${url.host}\r\nConnection: close\r\n\r\n`
        const socket = connect(Number(url.port), url.hostname)
        socket.write(request)
        const answer = (await socket.toArray()).join('')
        assert.match(answer, /^HTTP\/1\.1 40[34] /)
        assert.equal(manta.requests()[0]?.operation, 'ListObjects')
      })

      it('counts what went through it', async () => {
        await put('counted', 'x')
        await client.send(new HeadObjectCommand({ Bucket, Key: 'counted' }))
        assert.deepEqual(manta.countByOperation(), { PutObject: 1, HeadObject: 1 })
        assert.deepEqual(
          manta.requests().map(({ method, key, status }) => [method, key, status]),
          [
            ['PUT', 'counted', 200],
            ['HEAD', 'counted', 200],
          ],
        )
      })
    })

    it('cuts an upload whose body says nothing for a while', async () => {
      await open({ idleMs: 200 })
      try {
        const url = new URL(await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'idle' })))
        const socket = connect(Number(url.port), url.hostname)
        socket.on('error', () => {})
        socket.write(
          `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 4\r\n\r\nab`,
        )
        await new Promise(resolve => socket.resume().once('close', resolve))
        await rejects(client.send(new HeadObjectCommand({ Bucket, Key: 'idle' })), 404)
        assert.deepEqual(
          manta.requests().map(({ status }) => status),
          [undefined, 404],
        )
      } finally {
        await close()
      }
    })

    it('refuses StartAfter when told to', async () => {
      await open({ startAfter: 'refuse' })
      try {
        const list = new ListObjectsV2Command({ Bucket, StartAfter: 'a' })
        await rejects(client.send(list), 400, 'InvalidArgument')
      } finally {
        await close()
      }
    })
  })

async function rejects(attempt: Promise<unknown>, status: number, code?: string): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof S3ServiceException, String(error))
    assert.equal(error.$metadata.httpStatusCode, status, String(error))
    if (code !== undefined) assert.equal(error.name, code)
    return true
  })
}
