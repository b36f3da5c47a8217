/** The agent's description of itself, and whether it tells the truth. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as z from 'zod'
import { serveAgent, type SocketServer } from '../../../src/importer/agent/agent-server.ts'
import { agentDocument } from '../../../src/importer/agent/document.ts'
import { pathOf } from '../../../src/importer/agent/openapi.ts'
import { agentRoutes } from '../../../src/importer/agent/routes.ts'
import { ndjson } from '../../../src/importer/agent/wire.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import { answeringService, imageName, published } from '../../support/agent-answers.ts'
import { sendTo } from '../../support/agent-http.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

interface Documented {
  readonly operationId: string
  readonly parameters: readonly { in: string; name: string; required: boolean; description?: string }[]
  readonly requestBody?: { readonly content: Record<string, { schema: { $ref: string } }> }
  readonly responses: Record<
    string,
    {
      readonly content?: Record<string, { schema?: { $ref: string } }>
      readonly headers?: object
      readonly 'x-error-codes'?: readonly string[]
    }
  >
}

const document = agentDocument()
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    ...(operation as unknown as Documented),
  })),
)

describe("The agent's OpenAPI description", () => {
  it('has each route, and nothing else', () => {
    assert.deepEqual(
      operations.map(({ method, path }) => `${method} ${path}`).toSorted(),
      agentRoutes.map(({ method, path }) => `${method} ${pathOf(path)}`).toSorted(),
    )
  })

  it('names each operation once, and describes each parameter', () => {
    assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
    for (const { path, parameters, operationId } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const described = parameters.filter(parameter => parameter.in === 'path')
      assert.deepEqual(
        described.map(({ name }) => name),
        inPath,
        operationId,
      )
      for (const { name, description } of parameters) assert.ok(description, `${operationId}: ${name}`)
    }
  })

  it('has a pool in the query of all below /v1/', () => {
    for (const { path, parameters, operationId } of operations)
      if (path.startsWith('/v1/'))
        assert.ok(
          parameters.some(parameter => parameter.in === 'query' && parameter.name === 'pool'),
          operationId,
        )
  })

  it('refers only to schemas that it has', () => {
    const referred = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)]
    assert.ok(referred.length > 0)
    for (const [, name] of referred)
      assert.ok(name !== undefined && name in document.components.schemas, name)
  })

  it('is JSON Schema that says no to a body with a field too many', () => {
    const put = operations.find(({ operationId }) => operationId === 'clone.ensure')
    const schema = schemaAt(put?.requestBody?.content['application/json']?.schema.$ref ?? '')
    assert.ok(schema.safeParse({ image: 'a', quota: 1 }).success)
    assert.ok(!schema.safeParse({ image: 'a', qouta: 1 }).success)
  })
})

describe('What the agent answers', () => {
  let directory: TemporaryDirectory
  let agent: TestAgent
  let server: SocketServer
  const seen = new Set<string>()
  let id = ''
  before(async () => {
    directory = await temporaryDirectory()
    agent = await agentOver(answeringService())
    server = await serveAgent(agent.app, join(directory.path, 'agent.sock'))
    const { text } = await sendTo(server.socket, {
      method: 'POST',
      path: '/v1/imports',
      body: { image: 'a', waitSeconds: 10 },
    })
    id = (JSON.parse(text) as { id: string }).id
  })
  after(async () => {
    await server.close()
    await agent[Symbol.asyncDispose]()
    await directory.remove()
  })

  const image = { image: imageName }
  const encoded = encodeURIComponent(imageName)
  const cases: readonly (readonly [string, string, string, number, unknown?])[] = [
    ['GET', '/livez', '/livez', 200],
    ['GET', '/readyz', '/readyz', 200],
    ['GET', '/metrics', '/metrics', 200],
    ['GET', '/openapi.json', '/openapi.json', 200],
    ['GET', '/v1', '/v1', 200],
    ['GET', '/v1?x=1', '/v1', 400],
    ['POST', '/v1/imports', '/v1/imports', 202, image],
    ['POST', '/v1/imports', '/v1/imports', 200, { ...image, waitSeconds: 10 }],
    ['POST', '/v1/imports?follow=true', '/v1/imports', 200, image],
    ['POST', '/v1/imports?follow=perhaps', '/v1/imports', 400, image],
    ['POST', '/v1/imports', '/v1/imports', 400, {}],
    ['POST', '/v1/imports?pool=absent', '/v1/imports', 404, image],
    ['GET', '/v1/imports', '/v1/imports', 200],
    ['GET', '/v1/imports/ID', '/v1/imports/{id}', 200],
    ['GET', '/v1/imports/absent', '/v1/imports/{id}', 404],
    ['GET', '/v1/imports/ID/events', '/v1/imports/{id}/events', 200],
    ['GET', '/v1/imports/absent/events', '/v1/imports/{id}/events', 404],
    ['DELETE', '/v1/imports/ID', '/v1/imports/{id}', 200],
    ['GET', '/v1/images', '/v1/images', 200],
    ['GET', `/v1/image?image=${encoded}`, '/v1/image', 200],
    ['GET', '/v1/image?image=absent', '/v1/image', 404],
    ['GET', '/v1/image', '/v1/image', 400],
    ['DELETE', `/v1/images?image=${encoded}`, '/v1/images', 200],
    ['DELETE', '/v1/images?image=absent', '/v1/images', 404],
    ['PUT', '/v1/clones/web1', '/v1/clones/{name}', 200, image],
    ['PUT', '/v1/clones/web1', '/v1/clones/{name}', 202, { image: 'slow', waitSeconds: 0 }],
    ['PUT', '/v1/clones/web1', '/v1/clones/{name}', 404, { image: 'absent', pull: 'never' }],
    ['PUT', '/v1/clones/-x', '/v1/clones/{name}', 400, image],
    ['POST', '/v1/clones', '/v1/clones', 200, { ...image, names: ['a', 'b'] }],
    ['POST', '/v1/clones', '/v1/clones', 202, { image: 'slow', names: ['a'], waitSeconds: 0 }],
    ['POST', '/v1/clones', '/v1/clones', 400, { ...image, names: [] }],
    ['GET', '/v1/clones', '/v1/clones', 200],
    ['GET', '/v1/clones/web1', '/v1/clones/{name}', 200],
    ['GET', '/v1/clones/absent', '/v1/clones/{name}', 404],
    ['DELETE', '/v1/clones/web1', '/v1/clones/{name}', 200],
    ['DELETE', '/v1/clones/absent', '/v1/clones/{name}', 404],
    ['POST', '/v1/prune', '/v1/prune', 200, { unusedSeconds: 1 }],
    ['POST', '/v1/prune', '/v1/prune', 400, { unusedSeconds: -1 }],
    ['GET', '/v1/history', '/v1/history', 200],
    ['PUT', '/v1/published', '/v1/published', 200, image],
    ['PUT', '/v1/published', '/v1/published', 404, { image: 'absent' }],
    ['GET', '/v1/published', '/v1/published', 200],
    ['DELETE', `/v1/published/${published.uuid}`, '/v1/published/{uuid}', 200],
    ['DELETE', '/v1/published/absent', '/v1/published/{uuid}', 404],
  ]
  for (const [method, path, template, status, body] of cases)
    it(`to ${method} ${path.slice(0, 60)} is ${status}, as described`, async () => {
      const answer = await sendTo(server.socket, { method, path: path.replace('ID', id), body })
      assert.equal(answer.status, status, answer.text)
      const operation = operations.find(one => one.path === template && one.method === method)
      const described = operation?.responses[status]
      assert.ok(operation !== undefined && described !== undefined, `${status} is not described`)
      seen.add(`${operation.operationId} ${status}`)
      for (const name of Object.keys(described.headers ?? {}))
        assert.ok(answer.headers[name.toLowerCase()], `${name} is described, and missing`)
      if (template === '/metrics') return
      const type = String(answer.headers['content-type'])
      if (type === ndjson) return checkRecords(answer.text)
      const content = described.content?.[type]
      assert.ok(content, `${type} is not described`)
      const value: unknown = JSON.parse(answer.text)
      schemaAt(content.schema?.$ref ?? '').parse(value)
      if (status >= 400) {
        const { error } = value as { readonly error: { readonly code: string } }
        assert.ok(described['x-error-codes']?.includes(error.code), `${error.code} is not described`)
      }
    })

  it('to GET /openapi.json is this description', async () => {
    const { text } = await sendTo(server.socket, { method: 'GET', path: '/openapi.json' })
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(document)))
  })

  it('was looked at for every operation and every success of it', () => {
    const successes = operations.flatMap(({ operationId, responses }) =>
      Object.keys(responses)
        .filter(status => Number(status) < 300)
        .map(status => `${operationId} ${status}`),
    )
    assert.deepEqual(
      successes.filter(one => !seen.has(one)),
      [],
    )
  })
})

function checkRecords(text: string): void {
  const schema = schemaAt('#/components/schemas/ImportRecord')
  const records = text
    .trimEnd()
    .split('\n')
    .map(line => schema.parse(JSON.parse(line)) as { readonly type: string })
  assert.equal(records.at(-1)?.type, 'done')
}

/** The document's own schema, with those that it refers to. */
function schemaAt(reference: string): z.ZodType {
  const name = reference.split('/').at(-1) ?? ''
  const schema = document.components.schemas[name]
  assert.ok(schema, `${reference} has no schema`)
  const definitions = JSON.stringify(document.components.schemas)
  const whole = `{"$defs":${definitions},"$ref":"#/$defs/${name}"}`
  return z.fromJSONSchema(JSON.parse(whole.replaceAll('#/components/schemas/', '#/$defs/')))
}
