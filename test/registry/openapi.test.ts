import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as z from 'zod'
import { adminRoutes } from '../../src/registry/admin/http/admin-routes.ts'
import {
  debugEndpoints,
  mirrorHookEndpoint,
  registryEndpoints,
  tokenEndpoints,
} from '../../src/registry/endpoints.ts'
import { openApiDocument, pathOf } from '../../src/registry/openapi/document.ts'
import { registryRoutes } from '../../src/registry/routes.ts'
import { createUploadStates } from '../../src/registry/upload-state.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { manifestOf, RegistryClient } from '../support/registry-client.ts'
import { stubServices } from '../support/stub-services.ts'

interface Answer {
  readonly content?: Record<string, { schema?: { $ref: string } }>
  readonly 'x-error-codes'?: readonly string[]
}
interface Documented {
  readonly operationId: string
  readonly parameters: readonly { in: string; name: string; required?: true }[]
  readonly responses: Record<string, Answer>
}

const document = openApiDocument()
const methods = ['get', 'head', 'post', 'put', 'patch', 'delete']
const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations)
    .filter(([method]) => methods.includes(method))
    .map(([method, operation]) => ({ path, method, ...(operation as Documented) })),
)

describe('The OpenAPI description', () => {
  it('has each route and method, and nothing else', () => {
    const routes = registryRoutes(stubServices(), createUploadStates())
    const keys = (endpoints: readonly { method: string; path: string }[]) =>
      new Set(endpoints.map(({ method, path }) => `${method.toUpperCase()} ${pathOf(path)}`))
    assert.deepEqual(
      keys(documented),
      keys([...routes, ...tokenEndpoints, mirrorHookEndpoint, ...adminRoutes(undefined), ...debugEndpoints]),
    )
    assert.deepEqual(keys(routes), keys(registryEndpoints))
  })

  it('names each operation once, and each parameter of its path', () => {
    assert.equal(new Set(documented.map(({ operationId }) => operationId)).size, documented.length)
    for (const { path, parameters, operationId } of documented) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const described = parameters.filter(parameter => parameter.in === 'path')
      assert.deepEqual(
        described.map(({ name }) => name),
        inPath,
        operationId,
      )
      assert.ok(described.every(({ required }) => required === true))
    }
  })

  it('says what is answered to whoever may not, wherever somebody is asked', () => {
    for (const { path, responses, operationId } of documented)
      if (path.startsWith('/v2'))
        for (const [status, code] of [
          ['401', 'UNAUTHORIZED'],
          ['403', 'DENIED'],
          ['429', 'TOOMANYREQUESTS'],
        ] as const)
          assert.ok(responses[status]?.['x-error-codes']?.includes(code), `${operationId} ${status}`)
    for (const path of ['/livez', '/openapi.json'])
      assert.equal(documented.find(one => one.path === path)?.responses['401'], undefined)
  })

  it('says that an upstream may lead back here, wherever one is asked', () => {
    const asked = documented.filter(({ responses }) => responses['508'] !== undefined)
    assert.deepEqual(
      new Set(asked.map(({ operationId }) => operationId.replace(/^(tags.list|referrers).head$/, '$1'))),
      new Set(['blob.get', 'blob.head', 'manifest.get', 'manifest.head', 'tags.list', 'referrers']),
    )
    for (const { responses } of asked)
      for (const status of ['400', '508'])
        assert.ok(responses[status]?.['x-error-codes']?.includes('UNSUPPORTED'))
  })

  it('says which server has what only one of both has', () => {
    assert.ok(document.paths['/metrics']?.['servers'])
    assert.equal(document.paths['/v2/']?.['servers'], undefined)
  })

  it('refers only to schemas that it has', () => {
    for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g))
      assert.ok(name !== undefined && name in document.components.schemas, name)
  })
})

describe('What the registry answers', () => {
  let registry: TestRegistry
  let client: RegistryClient
  const config = Buffer.from('{}')
  const layer = Buffer.from('layer')
  const artifact = manifestOf(config, [layer], {
    artifactType: 'application/x-test',
    annotations: { a: 'b' },
    subject: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(manifestOf(config, [layer])),
      size: 1,
    },
  })
  before(async () => {
    registry = await startRegistry()
    client = new RegistryClient(registry.url)
    await client.pushImage('a/b', 'x', layer)
    await client.putManifest('a/b', digestOf(artifact), artifact)
  })
  after(() => registry.stop())

  const image = digestOf(manifestOf(config, [layer]))
  const absent = digestOf(Buffer.from('absent'))
  for (const [method, path, template, status] of [
    ['GET', '/livez', '/livez', 200],
    ['GET', '/readyz', '/readyz', 200],
    ['GET', '/openapi.json', '/openapi.json', 200],
    ['GET', '/v2', '/v2', 200],
    ['GET', '/v2/', '/v2/', 200],
    ['GET', '/v2/_catalog', '/v2/_catalog', 200],
    ['GET', '/v2/_catalog?n=x', '/v2/_catalog', 400],
    ['GET', '/v2/_oci/ext/discover', '/v2/_oci/ext/discover', 200],
    ['GET', '/v2/a/b/_oci/ext/discover', '/v2/{name}/_oci/ext/discover', 200],
    ['GET', '/v2/absent/_oci/ext/discover', '/v2/{name}/_oci/ext/discover', 404],
    ['GET', '/v2/a/b/tags/list', '/v2/{name}/tags/list', 200],
    ['GET', '/v2/A/tags/list', '/v2/{name}/tags/list', 400],
    ['GET', '/v2/absent/tags/list', '/v2/{name}/tags/list', 404],
    ['GET', `/v2/a/b/referrers/${image}`, '/v2/{name}/referrers/{digest}', 200],
    ['GET', '/v2/a/b/referrers/x', '/v2/{name}/referrers/{digest}', 400],
    ['GET', `/v2/a/b/blobs/${absent}`, '/v2/{name}/blobs/{digest}', 404],
    ['GET', '/v2/a/b/blobs/x', '/v2/{name}/blobs/{digest}', 400],
    ['DELETE', `/v2/a/b/blobs/${digestOf(layer)}`, '/v2/{name}/blobs/{digest}', 405],
    ['GET', '/v2/a/b/manifests/absent', '/v2/{name}/manifests/{reference}', 404],
    ['PUT', '/v2/a/b/manifests/x', '/v2/{name}/manifests/{reference}', 400],
    ['DELETE', `/v2/a/b/manifests/${absent}`, '/v2/{name}/manifests/{reference}', 404],
    ['POST', '/v2/a/b/blobs/uploads/?digest=x', '/v2/{name}/blobs/uploads/', 400],
    ['POST', `/v2/a/b/blobs/uploads/?digest=${absent}`, '/v2/{name}/blobs/uploads/', 400],
    ['PATCH', '/v2/a/b/blobs/uploads/x', '/v2/{name}/blobs/uploads/{id}', 404],
    ['PUT', `/v2/a/b/blobs/uploads/x?digest=${absent}`, '/v2/{name}/blobs/uploads/{id}', 404],
  ] as const)
    it(`to ${method} ${path.slice(0, 60)} is ${status}, as described`, async () => {
      const { status: actual, headers, bytes, codes } = await client.send(method, path)
      assert.equal(actual, status)
      const operation = documented.find(one => one.path === template && one.method === method.toLowerCase())
      const answer = operation?.responses[status]
      assert.ok(answer, `${status} is not described`)
      if (status >= 400)
        for (const code of codes)
          assert.ok(answer['x-error-codes']?.includes(code), `${code} is not described`)
      const described = answer.content?.[String(headers['content-type'])]
      assert.ok(described, `${headers['content-type']} is not described`)
      const name = described.schema?.$ref.split('/').at(-1) ?? ''
      const schema = document.components.schemas[name]
      assert.ok(schema, `${name} has no schema`)
      z.fromJSONSchema(schema).parse(JSON.parse(bytes.toString()))
    })

  it('to GET /openapi.json is this description', async () => {
    const { bytes } = await client.send('GET', '/openapi.json')
    assert.deepEqual(JSON.parse(bytes.toString()), JSON.parse(JSON.stringify(document)))
  })
})
