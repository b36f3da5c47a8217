/** What outsiders can learn of a private repository: nothing. On the registry as `varve serve` puts it together. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { join } from 'node:path'
import { hash } from 'bcryptjs'
import { startRegistry } from '../../../src/cli/registry/start-registry.ts'
import { loadConfig } from '../../../src/config.ts'
import { createLogger } from '../../../src/log.ts'
import { registryEndpoints } from '../../../src/registry/endpoints.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { basic, passwordOf } from '../../support/known-identities.ts'
import { type Answer, manifestOf, RegistryClient } from '../../support/registry-client.ts'
import { KnownClient } from '../../support/secured-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** One that is there and private, one that is not there, and one whose tenant is not there: all equally long. */
const names = ['acme/app', 'acme/nil', 'gone/app'] as const
const layer = Buffer.from('a layer that acme keeps for itself')
const config = Buffer.from('{}')
const digest = digestOf(layer)

for (const mode of ['basic', 'token'] as const)
  describe(`A private repository, with auth.mode ${mode}`, () => {
    const resources = new AsyncDisposableStack()
    let url = ''
    let manifest: Digest
    let uploadId = ''

    before(async () => {
      const { path } = resources.use(await temporaryDirectory())
      const flags = {
        data: path,
        'auth.mode': mode,
        'registry.address': '127.0.0.1:0',
        'registry.metricsAddress': 'off',
        // Each question here is a login.
        'limits.loginsPerMinute': 1_000_000,
      }
      const { config: settings } = loadConfig({ environment: {}, flags })
      const registry = resources.use(await startRegistry(settings, createLogger({ level: 'silent' })))
      url = `http://${registry.address}`
      const metadata = resources.use(await openSqliteMetadata(join(path, 'registry', 'varve.db')))
      for (const name of ['dave', 'oscar', 'zoe'])
        await metadata.createAccount({
          name: parseAccountName(name),
          kind: 'user',
          passwordHash: await hash(passwordOf(name), 4),
        })
      for (const [tenant, member] of [
        ['acme', 'dave'],
        ['other', 'oscar'],
      ] as const) {
        await metadata.createTenant({ name: parseTenantName(tenant) })
        await metadata.setMember(parseTenantName(tenant), parseAccountName(member), 'maintainer')
      }
      const dave = new KnownClient(url, 'dave')
      manifest = await dave.pushImage('acme/app', '1', layer)
      uploadId = (await dave.startUpload('acme/app')).split('?')[0]?.split('/').at(-1) ?? ''
      await new KnownClient(url, 'oscar').pushImage('other/app', '1', Buffer.from('a layer of other'))
    })
    after(() => resources.disposeAsync())

    /** Everything of an answer but what differs with each request, and the name that was asked for. */
    function essenceOf({ status, headers, bytes }: Answer, name: string): string {
      const { date: _, 'x-request-id': __, ...rest } = headers
      const text = JSON.stringify([status, rest, bytes.toString()])
      const ids = /[0-9a-f]{8}-[0-9a-f-]{27}|_state=[\w.-]+/g
      return text.replaceAll(name, 'NAME').replaceAll(ids, 'ID')
    }

    async function authorizationOf(who: string | undefined, scope: string): Promise<string | undefined> {
      if (mode === 'basic') return who === undefined ? undefined : basic(who)
      const headers: Record<string, string> = who === undefined ? {} : { authorization: basic(who) }
      const path = `/token?service=varve&scope=${encodeURIComponent(scope)}`
      const { status, bytes } = await new RegistryClient(url).send('GET', path, { headers })
      assert.equal(status, 200, bytes.toString())
      return `Bearer ${(JSON.parse(bytes.toString()) as { token: string }).token}`
    }

    async function ask(
      who: string | undefined,
      method: string,
      path: string,
      name: string,
      body?: Buffer,
    ): Promise<Answer> {
      const authorization = await authorizationOf(who, `repository:${name}:pull,push,delete`)
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
      return new RegistryClient(url).send(method, path, body === undefined ? { headers } : { headers, body })
    }

    const ofRepositories = registryEndpoints.filter(({ path }) => path.includes('*name'))

    for (const who of [undefined, 'zoe', 'oscar'])
      for (const { method, path, operation } of ofRepositories)
        it(`answers ${who ?? 'nobody'} the same as what does not exist: ${method} ${path}`, async () => {
          const essences: string[] = []
          for (const name of names)
            for (const reference of ['1', 'absent', manifest]) {
              const filled = path
                .replace('*name', name)
                .replace(':reference', reference)
                .replace(':digest', digest)
                .replace(':id', uploadId)
              const target = operation === 'upload.start' ? `${filled}?mount=${digest}&from=acme/src` : filled
              const body = method === 'PUT' || method === 'PATCH' ? layer : undefined
              const answer = await ask(who, method, target, name, body)
              assert.ok([401, 403].includes(answer.status), `${answer.status} ${answer.bytes.toString()}`)
              essences.push(essenceOf(answer, name))
            }
          assert.equal(new Set(essences).size, 1, essences.join('\n'))
        })

    if (mode === 'token')
      it('is not told of by the token service', async () => {
        for (const who of [undefined, 'zoe', 'oscar'])
          for (const name of names) {
            const token = (await authorizationOf(who, `repository:${name}:pull,push,delete`)) ?? ''
            const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
            assert.deepEqual((claims as { access: unknown }).access, [])
          }
      })

    it('is no source of a mount, and neither is its blob without from', async () => {
      const essences: string[] = []
      const absent = digestOf(Buffer.from('nobody has this'))
      for (const mounted of [digest, absent])
        for (const from of [...names, undefined]) {
          const query = from === undefined ? `mount=${mounted}` : `mount=${mounted}&from=${from}`
          const answer = await ask('oscar', 'POST', `/v2/other/new/blobs/uploads/?${query}`, 'other/new')
          assert.equal(answer.status, 202)
          essences.push(essenceOf(answer, 'other/new'))
        }
      assert.equal(new Set(essences).size, 1, essences.join('\n'))
    })

    it('lends no blob to a manifest elsewhere, nor tells by a manifest that it has it', async () => {
      const essences: string[] = []
      const other = Buffer.from('a layer that nobody has, as long..')
      assert.equal(other.length, layer.length)
      for (const bytes of [layer, other]) {
        const authorization = (await authorizationOf('oscar', 'repository:other/app:pull,push')) ?? ''
        const body = manifestOf(config, [bytes])
        const answer = await new RegistryClient(url).send('PUT', '/v2/other/app/manifests/2', {
          headers: { authorization, 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
          body,
        })
        assert.equal(answer.status, 400)
        essences.push(essenceOf(answer, digestOf(bytes)).replaceAll(digestOf(body), 'MANIFEST'))
      }
      assert.equal(new Set(essences).size, 1, essences.join('\n'))
    })

    it("is not shown by its blobs' digests in a repository of one's own", async () => {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        const essences: string[] = []
        for (const wanted of [digest, digestOf(Buffer.from('nobody has this'))]) {
          const answer = await ask('oscar', method, `/v2/other/app/blobs/${wanted}`, 'other/app')
          essences.push(essenceOf(answer, wanted))
          assert.equal(answer.status, 404)
        }
        assert.equal(new Set(essences).size, 1, essences.join('\n'))
      }
    })

    it('has upload sessions that are not found elsewhere', async () => {
      const essences: string[] = []
      const unknown = '00000000-0000-4000-8000-000000000000'
      for (const id of [uploadId, unknown]) {
        const answer = await ask('oscar', 'GET', `/v2/other/app/blobs/uploads/${id}`, 'other/app')
        assert.deepEqual([answer.status, answer.codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
        essences.push(essenceOf(answer, id))
      }
      assert.equal(new Set(essences).size, 1, essences.join('\n'))
    })

    it('stands in no catalog', async () => {
      for (const [who, expected] of [
        [undefined, []],
        ['zoe', []],
        ['oscar', ['other/app']],
        ['dave', ['acme/app']],
      ] as const) {
        const authorization = await authorizationOf(who, 'registry:catalog:*')
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
        const { status, bytes } = await new RegistryClient(url).send('GET', '/v2/_catalog', { headers })
        assert.equal(status, 200, bytes.toString())
        assert.deepEqual(JSON.parse(bytes.toString()), { repositories: expected }, who)
      }
    })
  })
