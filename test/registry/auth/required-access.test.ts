import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { needOf, requiredAccess } from '../../../src/registry/auth/required-access.ts'
import { type Operation, registryEndpoints } from '../../../src/registry/endpoints.ts'
import type { RegistryRequest } from '../../../src/registry/request.ts'
import { rejectsWith } from '../../support/rejects.ts'

/** Written apart from the table in the source: what each operation needs. */
const expected: Readonly<Record<Operation, string>> = {
  live: 'nothing',
  ready: 'nothing',
  openapi: 'nothing',
  base: 'something',
  extensions: 'something',
  catalog: 'catalog',
  'upload.start': 'pull,push',
  'upload.status': 'pull,push',
  'upload.append': 'pull,push',
  'upload.finish': 'pull,push',
  'upload.cancel': 'pull,push',
  'blob.get': 'pull',
  'blob.head': 'pull',
  'blob.delete': 'delete',
  'manifest.get': 'pull',
  'manifest.head': 'pull',
  'manifest.put': 'pull,push',
  'manifest.delete': 'delete',
  'tags.list': 'pull',
  referrers: 'pull',
  'repository.extensions': 'pull',
}

/** As much of a request as is looked at. */
function requestOf(name: string, query = ''): RegistryRequest {
  return { params: { name }, query: new URLSearchParams(query) } as unknown as RegistryRequest
}

describe('What an operation needs', () => {
  it('is written down for each that there is', () => {
    for (const { operation } of registryEndpoints)
      assert.equal(String(needOf(operation)), expected[operation], operation)
    assert.deepEqual(
      [...new Set(registryEndpoints.map(({ operation }) => operation))].sort(),
      Object.keys(expected).sort(),
    )
  })

  it('is nothing but for what tells nothing of any repository', () => {
    for (const { operation, path } of registryEndpoints)
      if (needOf(operation) === 'nothing') assert.doesNotMatch(path, /^\/v2/, operation)
  })

  it('is about the repository in the path, and wishes for that which a blob is to be mounted from', () => {
    assert.deepEqual(requiredAccess('upload.start', requestOf('a/b', 'mount=sha256:00&from=c/d')), {
      wanted: [
        { kind: 'repository', name: 'a/b', action: 'pull' },
        { kind: 'repository', name: 'a/b', action: 'push' },
      ],
      wishes: [{ kind: 'repository', name: 'c/d', action: 'pull' }],
    })
    for (const query of [
      '',
      'mount=x',
      'from=c/d',
      'mount=x&from=',
      'mount=x&from=C%00D',
      'mount=x&from=../d',
    ])
      assert.deepEqual(requiredAccess('upload.start', requestOf('a/b', query))?.wishes, [], query)
  })

  it('cannot be said of what is no repository', async () => {
    for (const name of ['A', 'a//b', 'a/../b', 'a%2fb', '', 'a\0b']) {
      const attempt = async () => requiredAccess('manifest.get', requestOf(name))
      await rejectsWith('invalid', attempt())
    }
  })
})
