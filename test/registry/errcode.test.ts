import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError, type ErrorCode, type ErrorDetails, type Resource } from '../../src/errors.ts'
import { errorReply } from '../../src/registry/errcode.ts'

function answer(error: unknown) {
  const { status, headers, content } = errorReply(error)
  assert.ok(content !== undefined && 'bytes' in content)
  assert.equal(content.type, 'application/json')
  const { errors } = JSON.parse(Buffer.from(content.bytes).toString())
  return { status, headers, errors, text: JSON.stringify(errors) }
}

function failure(code: ErrorCode, resource: Resource, more: Partial<ErrorDetails> = {}): DomainError {
  return new DomainError(code, 'what happened', { resource, ...more })
}

describe('error table', () => {
  for (const [code, resource, status, oci] of [
    ['invalid', 'repository', 400, 'NAME_INVALID'],
    ['invalid', 'tag', 400, 'TAG_INVALID'],
    ['invalid', 'digest', 400, 'DIGEST_INVALID'],
    ['invalid', 'manifest', 400, 'MANIFEST_INVALID'],
    ['not_found', 'repository', 404, 'NAME_UNKNOWN'],
    ['not_found', 'manifest', 404, 'MANIFEST_UNKNOWN'],
    ['not_found', 'tag', 404, 'MANIFEST_UNKNOWN'],
    ['not_found', 'blob', 404, 'BLOB_UNKNOWN'],
    ['not_found', 'upload', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['not_found', 'request', 404, 'UNSUPPORTED'],
    ['not_found', 'extension', 404, 'EXTENSION_UNKNOWN'],
    ['invalid', 'upload', 400, 'BLOB_UPLOAD_INVALID'],
    ['invalid', 'request', 400, 'PAGINATION_NUMBER_INVALID'],
    ['too_large', 'tag', 414, 'MANIFEST_INVALID'],
    ['out_of_range', 'blob', 416, 'RANGE_INVALID'],
    ['conflict', 'upload', 416, 'RANGE_INVALID'],
    ['conflict', 'manifest', 412, 'DENIED'],
    ['missing_reference', 'manifest', 400, 'MANIFEST_BLOB_UNKNOWN'],
    ['unauthorized', 'repository', 401, 'UNAUTHORIZED'],
    ['denied', 'repository', 403, 'DENIED'],
    ['digest_mismatch', 'blob', 400, 'DIGEST_INVALID'],
    ['size_mismatch', 'upload', 400, 'SIZE_INVALID'],
    ['too_large', 'manifest', 413, 'MANIFEST_INVALID'],
    ['out_of_range', 'upload', 416, 'RANGE_INVALID'],
    ['busy', 'upload', 416, 'RANGE_INVALID'],
    ['conflict', 'blob', 405, 'DENIED'],
    ['unsupported', 'request', 405, 'UNSUPPORTED'],
    ['unauthorized', 'registry', 401, 'UNAUTHORIZED'],
    ['denied', 'quota', 403, 'DENIED'],
    ['conflict', 'tag', 409, 'DENIED'],
    ['throttled', 'account', 429, 'TOOMANYREQUESTS'],
    ['unavailable', 'object', 503, 'UNAVAILABLE'],
    ['no_space', 'object', 507, 'UNAVAILABLE'],
    ['invalid', 'tenant', 400, 'INVALID'],
    ['not_found', 'account', 404, 'NOT_FOUND'],
    ['already_exists', 'tenant', 409, 'ALREADY_EXISTS'],
    ['conflict', 'grant', 409, 'CONFLICT'],
    ['too_large', 'rule', 413, 'TOO_LARGE'],
    ['denied', 'credential', 403, 'DENIED'],
    ['busy', 'backup', 503, 'UNAVAILABLE'],
  ] as const)
    it(`${code} ${resource} is ${status} ${oci}`, () => {
      const { status: answered, errors } = answer(failure(code, resource))
      assert.deepEqual([answered, errors[0].code], [status, oci])
    })

  it('has one entry for each missing reference', () => {
    const { errors } = answer(failure('missing_reference', 'manifest', { missing: ['sha256:a', 'sha256:b'] }))
    assert.deepEqual(
      errors.map((entry: { code: string; detail: unknown }) => [entry.code, entry.detail]),
      [
        ['MANIFEST_BLOB_UNKNOWN', { digest: 'sha256:a' }],
        ['MANIFEST_BLOB_UNKNOWN', { digest: 'sha256:b' }],
      ],
    )
  })

  it('takes what is no DomainError, or has no row, for a bug and tells nothing of it', () => {
    for (const error of [
      new Error('/etc/secret'),
      'text',
      failure('busy', 'pool', { name: '/etc/secret' }),
    ]) {
      const { status, errors, text } = answer(error)
      assert.deepEqual([status, errors[0].code], [500, 'UNKNOWN'])
      assert.ok(!text.includes('secret') && !text.includes('what happened'))
    }
  })

  it('answers what failed first, when something could not be put away after it either', () => {
    const later = failure('unavailable', 'database')
    const first = new SuppressedError(later, failure('out_of_range', 'upload'))
    for (const error of [first, new SuppressedError(later, first)]) assert.equal(answer(error).status, 416)
  })

  it('has exactly the challenge that the error brings, and none with another status', () => {
    const challenge = 'Bearer realm="https://registry.example.com/token",service="varve"'
    const { headers, text } = answer(
      failure('unauthorized', 'registry', { challenge, rule: 'a rule', claimed: 'alice' }),
    )
    assert.deepEqual(headers, { 'WWW-Authenticate': challenge })
    assert.doesNotMatch(text, /rule|alice/)
    assert.deepEqual(answer(failure('denied', 'repository', { challenge, rule: 'a rule' })).headers, {})
  })

  it('says in whole seconds when to come back', () => {
    const { headers } = answer(failure('throttled', 'account', { retryAfterSeconds: 1.2 }))
    assert.deepEqual(headers, { 'Retry-After': '2' })
  })

  it('does not take an OpenID provider that is away for the storage', () => {
    const { status, errors, text } = answer(failure('unavailable', 'account', { name: 'id.internal' }))
    assert.deepEqual(
      [status, errors[0].message],
      [503, 'Who you are cannot be found out now; try again later.'],
    )
    assert.ok(!text.includes('internal'))
  })

  it('tells nothing of what stands behind an outage, and when to come back', () => {
    const { text, headers } = answer(failure('unavailable', 'object', { name: 's3.internal' }))
    assert.ok(!text.includes('internal') && !text.includes('what happened'))
    assert.match(headers?.['Retry-After'] ?? '', /^\d+$/)
  })
})
