/** `varve serve` with all that stands between a request and its handler: each setting has its effect in every worker. */
import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { type Pair, serverRequest, TestAuthority } from '../support/test-authority.ts'
import { basic } from '../support/known-identities.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const workers = 2
const workload = 'example.org/ns/prod/ci'

describe(`varve serve with TLS, an audit log and limits, in ${workers} workers`, () => {
  const stack = new AsyncDisposableStack()
  let registry: ServedRegistry
  let authority: TestAuthority
  let ci: Pair
  let audit: string

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    const path = (name: string): string => join(directory.path, name)
    authority = await TestAuthority.create()
    const server = await authority.issue(serverRequest())
    ci = await authority.issue({
      subject: '/CN=admin',
      names: [{ kind: 'uri', value: `spiffe://${workload}` }],
    })
    audit = path('audit.jsonl')
    await writeFile(path('ca.pem'), authority.cert)
    await writeFile(path('cert.pem'), server.cert)
    await writeFile(path('key.pem'), server.key, { mode: 0o600 })
    const settings = {
      registry: {
        workers,
        tls: { certificateFile: path('cert.pem'), keyFile: path('key.pem'), hstsSeconds: 60 },
      },
      auth: { mode: 'token', clientCertificates: { caFile: path('ca.pem'), account: 'uri' } },
      limits: { loginsPerMinute: 6 },
      audit: { file: audit },
    }
    await writeFile(path('varve.yaml'), JSON.stringify(settings))
    registry = stack.use(await serveRegistry(directory.path, '--config', path('varve.yaml')))
    await using metadata = await openSqliteMetadata(path('registry/varve.db'))
    await metadata.createTenant({ name: parseTenantName('acme') })
    await metadata.setMember(parseTenantName('acme'), parseAccountName(workload), 'developer')
  })
  after(async () => await stack.disposeAsync())

  /** On a connection of its own, and so by the next worker. */
  const ask = async (
    path: string,
    { pair, authorization, method = 'GET' }: Asked = {},
  ): Promise<IncomingMessage> =>
    await new Promise((resolve, reject) => {
      request(
        `${registry.url.replace('127.0.0.1', 'localhost')}${path}`,
        {
          method,
          ca: authority.cert,
          agent: new Agent({ keepAlive: false }),
          headers: authorization === undefined ? {} : { authorization },
          ...pair,
        },
        response => resolve(response.resume()),
      )
        .on('error', reject)
        .end()
    })

  it('knows a workload by its certificate, and what it may do', async () => {
    for (let worker = 0; worker < workers; worker++) {
      const { statusCode, headers } = await ask('/v2/', { pair: ci })
      assert.deepEqual([statusCode, headers['strict-transport-security']], [200, 'max-age=60'])
      const start = (name: string) =>
        ask(`/v2/${name}/blobs/uploads/`, { pair: ci, method: 'POST' }).then(answer => answer.statusCode)
      assert.deepEqual([await start('acme/app'), await start('other/app')], [202, 403])
      assert.equal((await ask('/v2/')).statusCode, 401)
    }
  })

  it('goes on by SIGHUP, and tells of who was refused in a file made anew', async () => {
    await rename(audit, `${audit}.1`)
    registry.process.kill('SIGHUP')
    for (let worker = 0; worker < workers; worker++)
      assert.equal((await ask('/v2/', { authorization: basic('mallory', 'wrong') })).statusCode, 401)
    const claimed = async (): Promise<unknown[]> =>
      (await readFile(audit, 'utf8').catch(() => ''))
        .split('\n')
        // What follows the last newline is being written.
        .slice(0, -1)
        .map(line => (JSON.parse(line) as { claimed?: string }).claimed)
        // The workload was refused before, which is told of a moment later; its name was proved.
        .filter(name => name !== undefined)
    while ((await claimed()).length < workers) await sleep(50)
    assert.deepEqual(await claimed(), ['mallory', 'mallory'])
  })

  it('gives each worker its share of what is allowed', async () => {
    const statuses: (number | undefined)[] = []
    for (let login = 0; login < 6 + workers; login++)
      statuses.push((await ask('/token?service=varve')).statusCode)
    assert.deepEqual([statuses[0], statuses.at(-1)], [200, 429])
  })
})

interface Asked {
  readonly pair?: Pair
  readonly authorization?: string
  readonly method?: string
}
