import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type FaultyS3, startFaultyS3 } from './s3-faults.ts'
import { type S3TestServer, s3Client, skipWithoutS3, startS3Server } from './s3-server.ts'

const size = 300_000
const bytes = Buffer.alloc(size, 'varve ')

describe('faults in front of an S3 server', { skip: await skipWithoutS3('versitygw') }, () => {
  let server: S3TestServer
  let faulty: FaultyS3
  let client: S3Client
  let Bucket: string

  before(async () => {
    server = await startS3Server('versitygw')
    faulty = await startFaultyS3(server, { seed: 7 })
    client = s3Client(faulty)
    Bucket = faulty.bucket
    await put('there')
    faulty.forgetRequests()
  })
  afterEach(() => {
    faulty.set({})
    faulty.credentialsAre('valid')
    faulty.forgetRequests()
  })
  after(async () => {
    client.destroy()
    await faulty.stop()
    await server.stop()
  })

  const put = (Key: string) => client.send(new PutObjectCommand({ Bucket, Key, Body: bytes }))
  const get = async (Key = 'there'): Promise<Buffer> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }
  const isThere = (Key: string): Promise<boolean> =>
    client.send(new HeadObjectCommand({ Bucket, Key })).then(
      () => true,
      () => false,
    )
  const statuses = () => faulty.requests().map(({ operation, status }) => [operation, status])

  it('passes everything on when there are none, and counts', async () => {
    assert.ok(bytes.equals(await get()))
    assert.deepEqual(faulty.countByOperation(), { GetObject: 1 })
    assert.deepEqual(faulty.injected(), {})
  })

  for (const fault of ['reset', 'reset-in-request'] as const)
    it(`${fault}: nothing has happened in the store`, async () => {
      faulty.failNext(fault, { operation: 'PutObject' })
      await assert.rejects(put(fault), { code: /ECONNRESET|EPIPE/ })
      assert.equal(await isThere(fault), false)
      assert.deepEqual(statuses(), [
        ['PutObject', undefined],
        ['HeadObject', 404],
      ])
    })

  it('internal-error and slow-down: nothing has happened in the store', async () => {
    faulty.failNext('internal-error')
    await assert.rejects(put('refused'), { name: 'InternalError' })
    assert.equal(faulty.requests()[0]?.status, 500)
    faulty.failNext('slow-down', { times: 2 })
    await assert.rejects(put('refused'), { name: 'SlowDown' })
    await assert.rejects(put('refused'), { name: 'SlowDown' })
    assert.equal(await isThere('refused'), false)
    await put('refused')
  })

  for (const fault of ['lost-answer', 'late-error'] as const)
    it(`${fault}: the work is done`, async () => {
      faulty.failNext(fault, { operation: 'PutObject' })
      await assert.rejects(put(fault))
      assert.equal(await isThere(fault), true)
    })

  it('error-in-ok: an upload is not complete, whatever the status says', async () => {
    const object = { Bucket, Key: 'upload' }
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
    const { ETag } = await client.send(
      new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: 'x' }),
    )
    const complete = new CompleteMultipartUploadCommand({
      ...object,
      UploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
    })
    faulty.failNext('error-in-ok')
    await assert.rejects(client.send(complete), { name: 'InternalError' })
    assert.deepEqual(statuses().at(-1), ['CompleteMultipartUpload', 200])
    assert.equal(await isThere('upload'), false)
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId }))
  })

  it('reset-in-answer, truncated: half of the bytes come, under the length of all', async () => {
    const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'there' }))
    for (const fault of ['reset-in-answer', 'truncated'] as const) {
      faulty.failNext(fault)
      const answer = await fetch(url)
      assert.equal(answer.headers.get('content-length'), String(size))
      await assert.rejects(answer.arrayBuffer())
    }
  })

  it('stalled: half of the bytes come, and the connection stays', async () => {
    const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'there' }))
    faulty.failNext('stalled')
    const controller = new AbortController()
    const { body } = await fetch(url, { signal: controller.signal })
    const reader: ReadableStreamDefaultReader<Uint8Array> = body?.getReader() ?? assert.fail('no body')
    for (let received = 0; received < size / 2; )
      received += (await reader.read()).value?.length ?? assert.fail('ended')
    const more = reader.read().then(
      () => 'something',
      () => 'aborted',
    )
    setTimeout(() => controller.abort(), 100)
    assert.equal(await more, 'aborted')
  })

  it('wrong-bytes: one byte is another one', async () => {
    faulty.failNext('wrong-bytes')
    const wrong = await get()
    assert.equal(wrong.length, size)
    assert.equal(wrong.filter((byte, index) => byte !== bytes[index]).length, 1)
    assert.ok(bytes.equals(await get()))
  })

  it('credentials that have expired, or that nobody accepts, until they are valid again', async () => {
    faulty.credentialsAre('expired')
    await assert.rejects(get(), { name: 'ExpiredToken' })
    faulty.credentialsAre('denied')
    await assert.rejects(get(), { name: 'AccessDenied' })
    assert.deepEqual(statuses(), [
      ['GetObject', 400],
      ['GetObject', 403],
    ])
    faulty.credentialsAre('valid')
    await get()
  })

  it('an outage refuses connections, and ends', async () => {
    await faulty.outage()
    // The client has kept a connection, and finds it cut first.
    await assert.rejects(get(), { code: /^ECONN(RESET|REFUSED)$/ })
    await assert.rejects(get(), { code: 'ECONNREFUSED' })
    await faulty.recover()
    await get()
  })

  it('faults come at their rates, in bursts, for the operations that are meant, the same ones for a seed', async () => {
    const runs: unknown[] = []
    for (let run = 0; run < 2; run += 1) {
      await using other = await startFaultyS3(server, {
        seed: 3,
        rates: { 'slow-down': 0.1, reset: 0.1 },
        burst: 4,
        latencyMs: 1,
        operations: ['ListObjectsV2'],
      })
      const own = s3Client(other)
      for (let index = 0; index < 60; index += 1) {
        await own.send(new ListObjectsV2Command({ Bucket })).catch(() => {})
        await own.send(new HeadObjectCommand({ Bucket, Key: 'there' }))
      }
      own.destroy()
      const { 'slow-down': slow = 0, reset = 0 } = other.injected()
      assert.ok(slow >= 3 && slow <= 40 && reset >= 1 && reset <= 20, `${slow} slow-down, ${reset} reset`)
      const lists = other.requests().filter(({ operation }) => operation === 'ListObjectsV2')
      assert.match(lists.map(({ status }) => status ?? 'reset').join(), /503,503/)
      assert.equal(other.requests().filter(({ status }) => status === 503).length, slow)
      runs.push(lists.map(({ status }) => status))
    }
    assert.deepEqual(runs[0], runs[1])
  })
})
