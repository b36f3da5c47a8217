/** Stores that speak TLS: with a certificate that we trust, and with each kind that we must not. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { type CertificateRequest, TestAuthority } from '../../support/certificates.ts'
import { rejectsWith } from '../../support/rejects.ts'
import {
  type S3ServerKind,
  type S3TestServer,
  s3ServerKinds,
  skipWithoutS3,
  startS3Server,
} from '../../support/s3-server.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

/** S3 takes no smaller part, unless it is the last one. */
const partSize = 5 * 1024 * 1024
const hour = 3_600_000
const forItself: CertificateRequest = {
  subject: '/CN=store',
  names: [{ kind: 'ip', value: '127.0.0.1' }],
  use: 'serverAuth',
}

for (const kind of s3ServerKinds)
  describe(`${kind} over TLS`, { skip: await skipWithoutS3(kind) }, () => {
    objectStoreContract(
      `S3ObjectStore (${kind} over TLS)`,
      async () => {
        const server = await startWith(kind, forItself)
        const store = await S3ObjectStore.open({ ...server, idleTimeoutMs: 10_000, maxAttempts: 2 })
        return {
          store,
          async close() {
            await store[Symbol.asyncDispose]()
            await server.stop()
          },
        }
      },
      { partSize },
    )
  })

describe('An object store over TLS', { skip: await skipWithoutS3('minio') }, () => {
  let directory: TemporaryDirectory
  let server: S3TestServer
  before(async () => {
    directory = await temporaryDirectory()
    server = await startWith('minio', forItself)
  })
  after(async () => {
    await server.stop()
    await directory.remove()
  })

  it('is used by none who was not told its authority', async () => {
    await assertRefused(
      { ...server, caFile: undefined },
      /^Nobody that is trusted here .* storage\.s3\.caFile\.$/,
    )
  })

  it('is used by none who was told another authority', async () => {
    const caFile = join(directory.path, 'other.pem')
    await writeFile(caFile, (await TestAuthority.create()).cert)
    await assertRefused({ ...server, caFile }, /^Nobody that is trusted here has signed the certificate/)
  })

  it('is not opened with a file of certificates that has none, or is not there', async () => {
    const caFile = join(directory.path, 'empty.pem')
    await writeFile(caFile, 'no certificate\n')
    for (const [path, message] of [
      [caFile, /^The certificates in .*empty\.pem are none; storage\.s3\.caFile has to be/],
      [join(directory.path, 'absent.pem'), /absent\.pem cannot be read \(ENOENT\); correct/],
    ] as const) {
      const error = await rejectsWith('unavailable', S3ObjectStore.open({ ...server, caFile: path }))
      assert.match(error.message, message)
    }
  })

  it('is not used in the clear', async () => {
    await assertRefused({ ...server, endpoint: server.endpoint.replace('https', 'http') }, /\(HTTP 400\)/)
  })

  it('is not used over TLS where it speaks none', async () => {
    await using plain = await startS3Server('minio')
    const endpoint = plain.endpoint.replace('http', 'https')
    await assertRefused(
      { ...plain, endpoint },
      /^No TLS can be spoken with .* \(EPROTO\); .* write http:\/\/ there/,
    )
  })

  for (const [what, request, message] of [
    [
      'whose certificate has expired',
      { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) },
      /is not valid at this time \(CERT_HAS_EXPIRED\); renew it, or correct this machine's clock\.$/,
    ],
    [
      'whose certificate is not valid yet',
      { notBefore: new Date(Date.now() + hour), notAfter: new Date(Date.now() + 2 * hour) },
      /is not valid at this time \(CERT_NOT_YET_VALID\)/,
    ],
  ] as const)
    it(`${what} is not used`, async () => {
      await using odd = await startWith('minio', { ...forItself, validity: request }, true)
      await assertRefused(odd, message)
    })

  it('whose certificate is one for another name is not used', async () => {
    const names = [{ kind: 'dns', value: 'store.example' }] as const
    await using odd = await startWith('minio', { ...forItself, names }, true)
    await assertRefused(
      odd,
      /for other host names \(ERR_TLS_CERT_ALTNAME_INVALID\); .* storage\.s3\.endpoint/,
    )
  })
})

async function startWith(
  kind: S3ServerKind,
  request: CertificateRequest,
  isUntrustworthy = false,
): Promise<S3TestServer> {
  const authority = await TestAuthority.create()
  const pair = await authority.issue(request)
  return await startS3Server(kind, { tls: { ...pair, ca: authority.cert, isUntrustworthy } })
}

/** At each kind of request; and nothing of the credentials is in what is told. */
async function assertRefused(options: S3ObjectStoreOptions, message: RegExp): Promise<void> {
  await using store = await S3ObjectStore.open({ ...options, maxAttempts: 2 })
  const key = 'blobs/00/11' as Parameters<typeof store.put>[0]
  for (const attempt of [
    () => store.ping(),
    () => store.put(key, Buffer.from('never sent')),
    () => store.get(key),
    () => store.createMultipart(key, { partSize }),
  ]) {
    const error = await rejectsWith('unavailable', attempt())
    assert.match(error.message, message)
    assert.ok(!error.message.includes(String(options.credentials?.secretAccessKey)))
  }
}
