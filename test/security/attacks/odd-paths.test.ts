/** Paths that name something private in another way, or lead from one interface into another. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'

const long = 'a'.repeat(30_000)

describe('A path', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())

  const ask = (path: string, who?: string, method = 'GET') => {
    const authorization = who === undefined ? '' : `Authorization: ${registry.login(who)}\r\n`
    return registry.raw(
      `${method} ${path} HTTP/1.1\r\nHost: ${registry.host}\r\n${authorization}Content-Length: 0\r\nConnection: close\r\n\r\n`,
    )
  }

  /** To nobody, to somebody of another tenant, and to a member. */
  for (const [path, ...statuses] of [
    ['/v2//acme/app/manifests/1', 400, 400, 400],
    ['/v2/acme//app/manifests/1', 400, 400, 400],
    ['/v2/acme/app//manifests/1', 400, 400, 400],
    ['/v2/acme/app/manifests//1', 404, 404, 404],
    ['/v2/acme/app/manifests/1/', 404, 404, 404],
    ['/v2/acme/app/manifests/1;x', 401, 403, 404],
    ['/v2/acme/app;x/manifests/1', 400, 400, 400],
    ['/V2/acme/app/manifests/1', 404, 404, 404],
    ['/v2/ACME/app/manifests/1', 400, 400, 400],
    ['/v2/acme/app/Manifests/1', 404, 404, 404],
    ['/v2/acme%2fapp/manifests/1', 401, 403, 200],
    ['/v2/acme%252fapp/manifests/1', 400, 400, 400],
    ['/v2/acme%25252fapp/manifests/1', 400, 400, 400],
    ['/v2/acme/app%2fmanifests%2f1', 404, 404, 404],
    ['/v2/acme/app/../app/manifests/1', 400, 400, 400],
    ['/v2/site/app/../../acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/%2e%2e/%2e%2e/acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/..%2f..%2facme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/.%2e/.%2e/acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/%c0%ae%c0%ae/acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/..;/..;/acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/manifests/1/../../../../acme/app/manifests/1', 400, 400, 400],
    ['/v2/site/app/blobs/uploads/../../../acme/app/manifests/1', 400, 400, 400],
    ['/v2/./acme/app/manifests/1', 400, 400, 400],
    ['/v2/acme/app/manifests/1%00', 401, 403, 404],
    ['/v2/acme/app/manifests/..%2f..%2f..%2fother%2fapp%2fmanifests%2f1', 401, 403, 404],
    ['/v2/acme/app%00/manifests/1', 400, 400, 400],
    ['/v2/acme/app%20/manifests/1', 400, 400, 400],
    ['/v2/acme/app%3fx/manifests/1', 400, 400, 400],
    ['/v2/acme/app%23/manifests/1', 400, 400, 400],
    ['/v2/acme/app%0d%0aX:y/manifests/1', 400, 400, 400],
    ['/v2/acme/app\\/manifests/1', 400, 400, 400],
    ['/v2\\acme\\app\\manifests\\1', 404, 404, 404],
    ['/v2/acme/app/manifests/%31', 401, 403, 200],
    ['/%76%32/acme/app/manifests/1', 404, 404, 404],
    ['/v2/acme/app/manifests/%E0%A4%A', 401, 403, 404],
    ['/v2/%ff/manifests/1', 400, 400, 400],
    ['//v2/acme/app/manifests/1', 404, 404, 404],
    ['/./v2/acme/app/manifests/1', 404, 404, 404],
    ['/v2/acme/app/manifests/1?/../../../site/app/manifests/1', 401, 403, 200],
    ['/v2/acme/app/manifests/1?name=site/app&reference=1', 401, 403, 200],
    ['/v2/acme/app/manifests/1#/v2/site/app/manifests/1', 401, 403, 200],
    ['/v2/site/manifests/acme/app/manifests/1', 404, 404, 404],
    ['/v2/acme/app/tags/list/tags/list', 401, 403, 404],
    ['/v2/site/app/tags/list/../../../acme/app/tags/list', 400, 400, 400],
    ['/v2/manifests/1', 404, 404, 404],
    ['/v2/_catalog/', 404, 404, 404],
    ['/v2/%5fcatalog', 404, 404, 404],
    ['/v2/_catalog;', 404, 404, 404],
    [`/v2/acme/app/manifests/${long}`, 401, 403, 404],
    [`/v2/${long}/manifests/1`, 400, 400, 400],
    ['/v2/api/v1/users', 404, 404, 404],
    ['/v2/token', 404, 404, 404],
    ['/token/', 404, 404, 404],
    ['/TOKEN', 404, 404, 404],
    ['/auth/token/..', 404, 404, 404],
    ['/.well-known/..', 404, 404, 404],
    ['/.well-known/jwks.json/', 404, 404, 404],
    ['/metrics', 404, 404, 404],
    ['/events', 404, 404, 404],
    ['/debug/health', 404, 404, 404],
    ['/api/v1/../../v2/acme/app/manifests/1', 404, 404, 404],
    ['/api/v1/repositories/../users', 404, 404, 404],
    ['/api/v1/users/..%2f..', 401, 400, 400],
    ['/api/v1//users', 404, 404, 404],
    ['/API/v1/users', 404, 404, 404],
    ['/api/v1/users/', 404, 404, 404],
    ['/api/v1/users/root', 401, 403, 403],
    ['/api/v1/users/%72oot', 401, 403, 403],
    ['/api/v1/users/root%00', 401, 400, 400],
    ['/api/v1/users/Root', 401, 400, 400],
    ['/api/v1/users/zoe%2f..%2froot', 401, 400, 400],
    ['/api/v1/accounts/root/tokens', 401, 403, 403],
    ['/api/v1/accounts/zoe%2f..%2froot/tokens', 401, 400, 400],
    ['/api/v1/accounts/zoe/../root/tokens', 404, 404, 404],
    ['/api/v1/accounts/zoe;root/tokens', 401, 400, 400],
    ['/api/v1/tenants/site/../acme/members', 404, 404, 404],
    ['/api/v1/tenants/acme%00/members', 401, 400, 400],
    ['/api/v1/tenants/acme%2fapp/members', 401, 400, 400],
    ['/api/v1/tenants/ACME', 401, 400, 400],
    ['/api/v1/repositories/acme/app/visibility', 401, 404, 200],
    ['/api/v1/repositories/acme%2fapp/visibility', 401, 404, 200],
    ['/api/v1/repositories/other/../acme/app/visibility', 401, 400, 400],
    ['/api/v1/repositories/site/app/visibility?repository=acme/app', 401, 400, 400],
    ['/api/v1/tenants/site?tenant=acme', 401, 400, 400],
  ] as const)
    it(`is answered with ${statuses.join(', ')}: ${path.slice(0, 80)}`, async () => {
      await registry.unharmed(async () => {
        const answers = [await ask(path), await ask(path, 'zoe'), await ask(path, 'dave')]
        assert.deepEqual(
          answers.map(({ status }) => status),
          statuses,
          answers
            .map(({ text }) => text)
            .join('\n')
            .slice(0, 1000),
        )
        // What strangers get is no answer of acme's, and no more than a screen.
        for (const { text } of answers.slice(0, 2)) {
          assert.doesNotMatch(text, /schemaVersion|"tags"|gina|\n\s+at /)
          assert.ok(text.length < 2500, text)
        }
      })
    })

  it('with other bytes than those of text changes nothing, whatever is done with it', async () => {
    for (const odd of [
      '%00',
      '%0a',
      '%ff',
      '%f0%9f%90%b3',
      '%e2%80%ae',
      '%7f',
      '%25',
      '..',
      '.',
      '%2e',
      ' ',
      '\\',
      '\u00e9',
      '~',
      '*',
      '@',
      '+',
    ])
      for (const path of [
        `/v2/acme/${odd}/manifests/1`,
        `/v2/acme/app/manifests/${odd}`,
        `/v2/acme/app/blobs/${odd}`,
        `/v2/acme/app/blobs/uploads/${odd}`,
        `/v2/${odd}/app/tags/list`,
        `/api/v1/users/${odd}`,
        `/api/v1/tenants/${odd}`,
        `/auth/login/${odd}`,
      ])
        for (const method of ['GET', 'DELETE']) {
          const { status, answers } = await registry.unharmed(() => ask(path, 'zoe', method))
          assert.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`)
          assert.equal(answers, 1)
        }
  })
})
