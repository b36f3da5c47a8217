/** Texts that mean something to a database or to a comparison, where a name or a pattern is expected. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { parseAuthorization } from '../../../src/registry/auth/authorization-header.ts'
import { parseScope } from '../../../src/registry/auth/tokens/scope.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { parseReference, parseRepositoryName } from '../../../src/storage/reference.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { eventuallyWithin } from '../../support/eventually.ts'

const odd = [
  "' OR '1'='1",
  "'; DROP TABLE accounts; --",
  '" OR ""="',
  "\\' OR 1=1 --",
  'acme%',
  '%',
  '_',
  '*',
  'acme\u0000',
  "acme'||'",
  'acme)--',
  '$1',
  '?',
  ':name',
  '{{7*7}}',
  '\ufffe',
  '\ud800',
  'x'.repeat(1000),
]

describe('A text for the database', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())

  const root = () => registry.with(registry.login('root'))
  const itemsOf = (bytes: Buffer) => (JSON.parse(bytes.toString()) as { items: unknown[] }).items

  for (const text of odd)
    it(`is a text there, and finds and changes nothing: ${JSON.stringify(text.slice(0, 40))}`, async () => {
      const part = encodeURIComponent(text.toWellFormed())
      await registry.unharmed(async () => {
        for (const [method, path, body] of [
          ['GET', `/api/v1/users/${part}`],
          ['DELETE', `/api/v1/users/${part}`],
          ['PATCH', `/api/v1/users/${part}`, { isAdmin: true }],
          ['GET', `/api/v1/tenants/${part}`],
          ['DELETE', `/api/v1/tenants/${part}`],
          ['PUT', `/api/v1/tenants/acme/members/${part}`, { role: 'owner' }],
          ['DELETE', `/api/v1/tenants/acme/members/${part}`],
          ['DELETE', `/api/v1/tenants/acme/grants/${part}`],
          ['DELETE', `/api/v1/tenants/acme/tag-rules/${part}`],
          ['DELETE', `/api/v1/accounts/dave/tokens/${part}`],
          ['POST', '/api/v1/tenants', { name: text }],
          ['POST', '/api/v1/users', { name: text }],
          ['POST', '/api/v1/tenants/acme/grants', { subject: text, pattern: 'acme/**', actions: ['pull'] }],
          ['POST', '/api/v1/tenants/acme/grants', { subject: 'zoe', pattern: text, actions: ['pull'] }],
          ['POST', '/api/v1/tenants/acme/grants', { subject: 'zoe', pattern: 'acme/**', actions: [text] }],
          ['POST', '/api/v1/tenants/acme/robots', { name: text }],
        ] as const) {
          const call =
            body === undefined
              ? {}
              : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
          const { status, bytes } = await root().send(method, path, call)
          assert.ok(status === 400 || status === 404, `${method} ${path}: ${status} ${bytes.toString()}`)
          assert.doesNotMatch(bytes.toString(), /SQL|sqlite|syntax error|constraint/i)
        }
        for (const path of [
          `/api/v1/audit?account=${part}`,
          `/api/v1/audit?operation=${part}`,
          `/api/v1/tenants/acme/audit?account=${part}`,
          `/api/v1/tenants/acme/audit?operation=${part}`,
        ]) {
          const { status, bytes } = await root().send('GET', path)
          assert.ok(status === 400 || (status === 200 && itemsOf(bytes).length === 0), `${path}: ${status}`)
        }
        for (const path of [
          `/api/v1/users?last=${part}`,
          `/api/v1/tenants?last=${part}`,
          `/api/v1/audit?last=${part}`,
          `/api/v1/tenants/acme/members?last=${part}`,
          `/v2/_catalog?last=${part}`,
          `/v2/acme/app/tags/list?last=${part}`,
          `/v2/acme/app/referrers/${registry.manifest}?artifactType=${part}`,
        ]) {
          const { status, bytes } = await root().send('GET', path)
          assert.ok([200, 400, 401].includes(status), `${path}: ${status} ${bytes.toString()}`)
        }
      })
    })

  it('that a tenant may be called shows it no audit of others, whatever its letters mean elsewhere', async () => {
    // Entries are written a moment later.
    await eventuallyWithin(30, 'an entry of acme', async () => {
      const { bytes } = await root().send('GET', '/api/v1/tenants/acme/audit')
      return itemsOf(bytes).length > 0
    })
    // With LIKE, _ would be any character.
    for (const name of ['a_me', 'ac-me', 'acme.x'])
      await root().send('POST', '/api/v1/tenants', {
        body: JSON.stringify({ name }),
        headers: { 'content-type': 'application/json' },
      })
    for (const name of ['a_me', 'ac-me', 'acme.x']) {
      const { status, bytes } = await root().send('GET', `/api/v1/tenants/${name}/audit`)
      assert.equal(status, 200)
      assert.deepEqual(itemsOf(bytes), [])
    }
  })

  it('that is a number of entries is one, and a bounded one', async () => {
    for (const n of ['-1', '1e9', '0x10', '1;DROP', 'NaN', '1.5', ' 1', '', '١'])
      for (const path of ['/api/v1/users', '/api/v1/audit', '/v2/acme/app/tags/list'])
        assert.equal(
          (await root().send('GET', `${path}?n=${encodeURIComponent(n)}`)).status,
          400,
          `${path} ${n}`,
        )
    assert.equal((await root().send('GET', '/api/v1/users?n=999999999')).status, 200)
  })
})

/** Compares in a thread, which is ended when it takes much too long. Answers the longest comparison, in milliseconds. */
async function compareElsewhere(
  cases: readonly (readonly [pattern: string, name: string])[],
): Promise<number> {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads'
    const { namePattern } = await import(workerData.module)
    let longest = 0
    for (const [pattern, name] of workerData.cases) {
      const started = performance.now()
      namePattern(pattern).test(name)
      longest = Math.max(longest, performance.now() - started)
    }
    parentPort.postMessage(longest)`
  const module = new URL('../../../src/storage/name-pattern.ts', import.meta.url).href
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { module, cases },
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  worker.once('message', resolve).once('error', reject)
  // Not about time: what backtracks would need longer than the world is old.
  const late = setTimeout(() => reject(new Error('a comparison does not come to an end')), 60_000)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    await worker.terminate()
  }
}

describe('A pattern', () => {
  it('never goes back, however it is made', async () => {
    const star = fc.constantFrom('*', '**', '***')
    const word = fc.constantFrom('a', 'aa', 'b', '/', 'a/', '-')
    const pattern = fc
      .array(fc.oneof(star, word), { minLength: 20, maxLength: 250 })
      .map(parts => parts.join('').slice(0, 255))
    const name = fc.array(word, { minLength: 100, maxLength: 250 }).map(parts => parts.join('').slice(0, 255))
    const cases = [
      ...fc.sample(fc.tuple(pattern, name), 1000),
      ...['*a', '**a', '*/', '**/', '*a*', '**aa'].map(
        part => [part.repeat(127).slice(0, 255), `${'a/'.repeat(60)}${'a'.repeat(130)}b`] as const,
      ),
    ]
    console.log(
      `the longest of ${cases.length} comparisons took ${(await compareElsewhere(cases)).toFixed(2)} ms`,
    )
  })

  it('of names and scopes in the grammar of accounts and repositories never goes back, either', async () => {
    for (const unit of [
      'a',
      '-',
      '_',
      '__',
      '.',
      'a-',
      'a_',
      'a.',
      '/a',
      'a/',
      '@',
      'a@',
      '+',
      ':',
      'a:',
      '=',
      ' ',
    ])
      for (const end of ['', '!', '\n', '\0', '/']) {
        const text = `${unit.repeat(100_000)}${end}`
        for (const parse of [parseAccountName, parseTenantName, parseReference, parseRepositoryName])
          try {
            parse(text.slice(0, 100_000))
          } catch {
            // It is refused, at once.
          }
        parseScope(`repository:${text}:pull`)
        parseAuthorization(`Basic ${text}`)
        parseAuthorization(text)
      }
  })
})
