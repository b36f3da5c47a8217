import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createRouter } from '../../src/registry/router.ts'
import { registryRoutes } from '../../src/registry/routes.ts'
import { createUploadStates } from '../../src/registry/upload-state.ts'
import { stubServices } from '../support/stub-services.ts'

const routes = registryRoutes(stubServices(), createUploadStates())
const router = createRouter(routes)

/** The template that answers a path, and what it captures. */
function match(path: string): { path: string; params: Record<string, string> } | undefined {
  const [layer] = router.match(path, 'GET').pathAndMethod
  return layer && { path: String(layer.path), params: { ...layer.params(path, layer.captures(path)) } }
}

const ordinary = fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)?$/)
const confusing = fc.constantFrom('blobs', 'uploads', 'manifests', 'tags', 'list', 'v2', 'catalog')
const name = fc
  .array(fc.oneof(ordinary, confusing), { minLength: 1, maxLength: 6 })
  .map(parts => parts.join('/'))
const reference = fc.oneof(confusing, fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/))
const digest = fc.stringMatching(/^sha256:[0-9a-f]{64}$/)

describe('router', () => {
  it('finds manifests under any name', () => {
    fc.assert(
      fc.property(name, fc.oneof(reference, digest), (name, reference) => {
        assert.deepEqual(match(`/v2/${name}/manifests/${reference}`), {
          path: '/v2/*name/manifests/:reference',
          params: { name, reference },
        })
      }),
    )
  })

  it('finds blobs, uploads and tags under any name', () => {
    fc.assert(
      fc.property(name, digest, fc.uuid(), (name, digest, id) => {
        assert.deepEqual(match(`/v2/${name}/blobs/${digest}`)?.params, { name, digest })
        assert.deepEqual(match(`/v2/${name}/blobs/uploads/${id}`)?.params, { name, id })
        assert.deepEqual(match(`/v2/${name}/blobs/uploads/${id}/`)?.params, { name, id })
        assert.equal(match(`/v2/${name}/blobs/uploads/`)?.path, '/v2/*name/blobs/uploads/')
        assert.equal(match(`/v2/${name}/blobs/uploads`)?.path, '/v2/*name/blobs/uploads')
        assert.equal(match(`/v2/${name}/tags/list`)?.path, '/v2/*name/tags/list')
        assert.deepEqual(match(`/v2/${name}/referrers/${digest}`)?.params, { name, digest })
        assert.deepEqual(match(`/v2/${name}/_oci/ext/discover`)?.params, { name })
      }),
    )
  })

  it('decodes once', () => {
    assert.deepEqual(match('/v2/a%2Fb/manifests/x')?.params, { name: 'a/b', reference: 'x' })
    assert.deepEqual(match('/v2/a%252Fb/manifests/x')?.params, { name: 'a%2Fb', reference: 'x' })
    assert.deepEqual(match('/v2/a/manifests/x%2Fmanifests%2Fy')?.params, {
      name: 'a',
      reference: 'x/manifests/y',
    })
    assert.deepEqual(match('/v2/a/manifests/%zz')?.params, { name: 'a', reference: '%zz' })
  })

  it('does not know other paths', () => {
    for (const path of [
      '/',
      '/v1/',
      '/V2/',
      '/v2/x',
      '/v2//manifests/x',
      '/v2/a/manifests/',
      '/v2/a/Manifests/x',
      '/v2/a/tags/list/',
      '/v2/manifests/x',
      '/v2/_catalog/',
      '/v2/a/referrers/',
      '/v2/a/_oci/ext/discover/',
      '/v2/_oci/ext',
    ])
      assert.equal(match(path), undefined, path)
  })

  it('is fast on long hostile paths', () => {
    const path = `/v2/${'a/manifests/blobs/uploads/'.repeat(2500)}`
    assert.equal(match(path)?.path, '/v2/*name/blobs/uploads/')
    assert.equal(match(`${path}//`), undefined)
  })

  it('gives every operation one name', () => {
    for (const { method, operation } of routes) assert.match(operation, /^[a-z]+(\.[a-z]+)?$/, method)
  })
})
