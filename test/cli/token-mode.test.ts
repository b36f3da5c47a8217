import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { runVarve } from '../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

interface Token {
  readonly token: string
  readonly scope: string
  readonly refresh_token?: string
}

/** `auth.mode: token` in processes of its own, with two workers. */
describe('varve serve with auth.mode token', () => {
  let directory: TemporaryDirectory
  let data: string
  let config: string
  let registry: ServedRegistry

  const start = () => serveRegistry(data, '--config', config, '--workers', '2')
  const client = () => new RegistryClient(registry.url)

  beforeEach(async () => {
    directory = await temporaryDirectory()
    data = join(directory.path, 'data')
    config = join(directory.path, 'varve.yaml')
    await writeFile(config, 'auth:\n  mode: token\n  service: registry.example.com\n')
    registry = await start()
  })
  afterEach(async () => {
    await registry.stop()
    await directory.remove()
  })

  async function login(): Promise<Token> {
    const password = (await readFile(join(data, 'admin-password'), 'utf8')).trim()
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`
    const path = '/token?account=admin&client_id=docker&offline_token=true&service=registry.example.com'
    const { status, bytes } = await client().send('GET', path, { headers: { authorization } })
    assert.equal(status, 200, bytes.toString())
    return JSON.parse(bytes.toString())
  }

  async function refresh(refreshToken: string, scope: string): Promise<Token> {
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'docker', scope }
    const { status, bytes } = await client().send('POST', '/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...form, service: 'registry.example.com' }).toString(),
    })
    assert.equal(status, 200, bytes.toString())
    return JSON.parse(bytes.toString())
  }

  async function push(token: string): Promise<number> {
    const body = Buffer.from('blob')
    const path = `/v2/acme/app/blobs/uploads/?digest=${digestOf(body)}`
    const headers = { authorization: `Bearer ${token}` }
    return (await client().send('POST', path, { headers, body })).status
  }

  it('keeps docker logged in over a rotation of the keys and a restart', async () => {
    const { refresh_token: refreshToken = '' } = await login()
    const scope = 'repository:acme/app:pull,push'
    const before = await refresh(refreshToken, scope)
    assert.equal(before.scope, scope)
    assert.equal(await push(before.token), 201)

    const rotated = await runVarve(['key', 'rotate', '--data', data, '--config', config])
    assert.equal(rotated.code, 0, rotated.stderr)
    assert.equal(await push(before.token), 201, 'a token of the old key')

    await registry.stop()
    registry = await start()
    const after = await refresh(refreshToken, scope)
    // Whichever worker answers.
    for (let turn = 0; turn < 4; turn += 1)
      for (const { token } of [before, after]) assert.equal(await push(token), 201)
  })

  it('writes no secret into its log', async () => {
    const password = (await readFile(join(data, 'admin-password'), 'utf8')).trim()
    const { token, refresh_token: refreshToken = '' } = await login()
    await push(token)
    const log = JSON.stringify(registry.lines())
    assert.ok(log.includes('token.get'))
    for (const secret of [password, refreshToken.slice(-40), token.slice(-40)])
      assert.ok(!log.includes(secret))
  })
})
