import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ErrorCode, isDomainError } from '../../../src/errors.ts'
import { fromS3 } from '../../../src/storage/objects/s3/s3-errors.ts'

const about = { bucket: 'images', store: 'https://store.example', key: 'blobs/00/11' }

/** As the SDK throws it: with what it copied from the answer. */
function sdkError(name: string, status?: number, more: object = {}): Error {
  const metadata = status === undefined ? {} : { $metadata: { httpStatusCode: status } }
  return Object.assign(new Error('what the store said'), { name, ...metadata, ...more })
}

describe('What S3 answers', () => {
  const cases: readonly [wanted: ErrorCode, name: string, status: number | undefined, says?: RegExp][] = [
    ['not_found', 'NoSuchKey', 404],
    ['not_found', 'NotFound', 404],
    ['not_found', 'NoSuchUpload', 404, /begin a new one/],
    ['already_exists', 'PreconditionFailed', 412],
    ['out_of_range', 'InvalidRange', 416],
    ['out_of_range', 'Unknown', 416],
    ['invalid', 'InvalidPart', 400],
    ['invalid', 'InvalidPartOrder', 400],
    ['conflict', 'ConditionalRequestConflict', 409],
    ['unsupported', 'NotImplemented', 501],
    ['no_space', 'EntityTooLarge', 400],
    ['no_space', 'NotEnoughSpace', 507],
    ['no_space', 'XMinioStorageFull', 507],
    ['no_space', 'Unknown', 507, /HTTP 507/],
    ['unavailable', 'NoSuchBucket', 404, /bucket images does not exist .* create it/],
    ['unavailable', 'AccessDenied', 403, /refuses access to the bucket images/],
    ['unavailable', 'Unknown', 403, /HTTP 403/],
    ['unavailable', 'SignatureDoesNotMatch', 403, /check the access key/],
    ['unavailable', 'ExpiredToken', 400, /expired/],
    ['unavailable', 'RequestTimeTooSkewed', 403, /clock/],
    ['unavailable', 'CredentialsProviderError', undefined, /There are no credentials/],
    ['unavailable', 'PermanentRedirect', 301, /region/],
    ['unavailable', 'EntityTooSmall', 400, /5 MiB/],
    ['unavailable', 'SlowDown', 503, /too much to do/],
    ['unavailable', 'Unknown', 503, /too much to do/],
    ['unavailable', 'TooManyRequestsException', 429, /too much to do/],
    ['unavailable', 'InternalError', 500, /failed .*InternalError/],
    ['unavailable', 'WhoKnows', 418, /WhoKnows/],
    ['unavailable', 'TimeoutError', undefined, /does not answer \(TimeoutError\)/],
  ]
  for (const [wanted, name, status, says = /./] of cases)
    it(`${name} with status ${status ?? 'none'} is ${wanted}`, () => {
      const error = fromS3(sdkError(name, status), about)
      assert.ok(isDomainError(error, wanted), String(error))
      assert.match(error.message, says)
      assert.match(error.message, /\.$/)
    })

  it('404 without an object is about the bucket', () => {
    const error = fromS3(sdkError('NotFound', 404), { ...about, key: undefined })
    assert.ok(isDomainError(error, 'unavailable'))
    assert.match(error.message, /The bucket images does not exist/)
  })

  it('a connection that is refused names the endpoint', () => {
    const error = fromS3(sdkError('Error', undefined, { code: 'ECONNREFUSED' }), about)
    assert.ok(isDomainError(error, 'unavailable'))
    assert.match(error.message, /https:\/\/store\.example does not answer \(ECONNREFUSED\)/)
  })

  for (const [code, says] of [
    ['SELF_SIGNED_CERT_IN_CHAIN', /Nobody that is trusted here .* storage\.s3\.caFile/],
    ['CERT_HAS_EXPIRED', /is not valid at this time/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /for other host names/],
    ['EPROTO', /No TLS can be spoken/],
  ] as const)
    it(`a certificate that is no good (${code}) is told apart from silence`, () => {
      const error = fromS3(sdkError('Error', undefined, { code, $metadata: { attempts: 1 } }), about)
      assert.ok(isDomainError(error, 'unavailable'))
      assert.match(error.message, says)
      assert.ok(error.message.includes(code))
    })

  it('Retry-After is passed on when it is a number of seconds', () => {
    const wanted = (header: string): unknown => {
      const $response = { headers: { 'retry-after': header } }
      const error = fromS3(sdkError('SlowDown', 503, { $response }), about)
      return isDomainError(error) && error.details.retryAfterSeconds
    }
    assert.equal(wanted('7'), 7)
    assert.equal(wanted('1000000'), 3600)
    assert.equal(wanted('Wed, 21 Oct 2026 07:28:00 GMT'), undefined)
    assert.equal(wanted('0'), undefined)
  })

  it('is not repeated in the cause beyond its name and message', () => {
    const more = { StringToSign: 'a secret', $response: { headers: { 'x-amz-security-token': 'a secret' } } }
    const error = fromS3(sdkError('SignatureDoesNotMatch', 403, more), about)
    assert.ok(isDomainError(error) && error.cause instanceof Error)
    assert.deepEqual(Object.keys(error.cause), [])
    assert.match(error.cause.message, /SignatureDoesNotMatch: what the store said \(HTTP 403\)/)
  })

  it('our own mistakes stay what they are', () => {
    const mistake = new TypeError('undefined is not a function')
    assert.equal(fromS3(mistake, about), mistake)
  })
})
