/** That nothing is missing from the matrix: whoever adds a route has to say here who may use it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { agentRoutes } from '../../../src/importer/agent/routes.ts'
import { adminOperations } from '../../../src/registry/admin/administration.ts'
import { debugEndpoints, registryEndpoints, tokenEndpoints } from '../../../src/registry/endpoints.ts'
import { adminRoutes } from './admin-routes.ts'
import { agentRows } from './agent-routes.ts'
import { credentialKinds } from './credential-kinds.ts'
import { browserRoutes, debugRoutes, tokenRoutes } from './other-routes.ts'
import { people } from './people.ts'
import { plainRoutes, protocolRoutes, repositoryRoutes } from './protocol-routes.ts'
import { repositories } from './repositories.ts'
import { openWorld } from './world.ts'

interface Routed {
  readonly method: string
  readonly path: string
}

/** Each once, in an order of their own. */
function namesOf(routes: readonly Routed[]): string[] {
  return [...new Set(routes.map(({ method, path }) => `${method} ${path}`))].sort()
}

describe('The access matrix', () => {
  it('has every route of the protocol', () => {
    assert.deepEqual(namesOf(protocolRoutes), namesOf(registryEndpoints))
  })

  it('has every route of the token service', () => {
    assert.deepEqual(namesOf(tokenRoutes), namesOf(tokenEndpoints))
  })

  it('has every route of administration', () => {
    assert.deepEqual(namesOf(adminRoutes), namesOf(Object.values(adminOperations)))
  })

  it('has every route of the server for operators', () => {
    assert.deepEqual(namesOf(debugRoutes), namesOf(debugEndpoints))
  })

  it('has every route that a registry really has, beside those of the protocol', async () => {
    const more = [...tokenRoutes, ...browserRoutes, ...adminRoutes]
    for (const [mode, expected] of [
      ['token', more],
      ['basic', [...browserRoutes, ...adminRoutes]],
      ['none', adminRoutes],
    ] as const) {
      await using world = await openWorld(mode)
      assert.deepEqual(namesOf(world.moreEndpoints), namesOf(expected), mode)
    }
  })

  it('has every route of the agent, with HEAD wherever there is GET', () => {
    const heads = agentRoutes
      .filter(({ method }) => method === 'GET')
      .map(({ path }) => ({ method: 'HEAD', path }))
    assert.deepEqual(namesOf(agentRows), namesOf([...agentRoutes, ...heads]))
  })

  it('has people, repositories, credentials and routes enough for more than 500 rows, all of other names', () => {
    for (const table of [people, repositories, credentialKinds])
      assert.equal(new Set(table.map(({ title }) => title)).size, table.length)
    // Of one mode, by people alone.
    const rows = people.length * (plainRoutes.length + repositories.length * repositoryRoutes.length)
    assert.ok(rows > 500, String(rows))
  })
})
