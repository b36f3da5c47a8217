/** What the audit log keeps of requests, over real HTTP. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createMetrics } from '../../../src/metrics/metrics.ts'
import { DomainError } from '../../../src/errors.ts'
import {
  AuditTrail,
  type AuditTrailOptions,
  type DropPlace,
} from '../../../src/registry/audit/audit-trail.ts'
import type { Handler } from '../../../src/registry/handler.ts'
import { json } from '../../../src/registry/reply.ts'
import type { Route } from '../../../src/registry/routes.ts'
import type { NewAuditEntry } from '../../../src/storage/metadata/audit-records.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { basic } from '../../support/known-identities.ts'
import { keepLog } from '../../support/log-lines.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { type SecuredRegistry, startSecured } from '../../support/secured-registry.ts'
import { auditEntry } from '../../support/audit-entries.ts'

const away = new DomainError('unavailable', 'The database is away.', { resource: 'database' })

/** A database that remembers, and can be away. */
class Kept {
  readonly entries: NewAuditEntry[] = []
  isAway = false

  addAuditEntries(entries: readonly NewAuditEntry[]): Promise<void> {
    if (this.isAway) return Promise.reject(away)
    this.entries.push(...entries)
    return Promise.resolve()
  }
}

describe('The audit trail', () => {
  let kept: Kept
  let dropped: [DropPlace, number][]
  let measures: string[]
  let trail: AuditTrail
  let registry: SecuredRegistry | undefined

  const make = (options: Partial<AuditTrailOptions> = {}): AuditTrail =>
    new AuditTrail({
      records: kept,
      log: keepLog().log,
      pulls: false,
      onDropped: (count, where) => dropped.push([where, count]),
      onAccess: ({ outcome, kind }) => measures.push(`${outcome} ${kind}`),
      everyMs: 3_600_000,
      ...options,
    })
  const start = async (options: Partial<AuditTrailOptions> = {}, routes: readonly Route[] = []) => {
    trail = make(options)
    const started = await startSecured({ layers: { audit: trail, routes } })
    registry = started
    return { url: started.url, as: (name?: string) => started.as(name), stop: () => started.stop() }
  }
  /** Everything that was kept until now. */
  const told = async (): Promise<NewAuditEntry[]> => {
    await trail[Symbol.asyncDispose]()
    return kept.entries.splice(0)
  }
  const brief = ({ outcome, account, claimed, operation, target, reference, status }: NewAuditEntry) =>
    [outcome, account ?? `(${claimed ?? ''})`, operation, target, reference, status].join(' ')

  beforeEach(() => {
    kept = new Kept()
    dropped = []
    measures = []
    registry = undefined
  })
  afterEach(async () => {
    await registry?.stop()
    await trail[Symbol.asyncDispose]()
  })

  it('names who pushed and deleted what, from where, and by which rule', async () => {
    const { as } = await start()
    const [dave, mia] = [as('dave'), as('mia')]
    const image = await dave.pushImage('acme/web', 'v1', Buffer.from('layer'))
    await mia.send('DELETE', `/v2/acme/web/manifests/v1`, { headers: { 'user-agent': 'test/1' } })
    const entries = await told()
    const [config, layer] = ['{}', 'layer'].map(text => digestOf(Buffer.from(text)))
    assert.deepEqual(entries.map(brief), [
      `allowed dave upload.start acme/web ${config} 201`,
      `allowed dave upload.start acme/web ${layer} 201`,
      'allowed dave manifest.put acme/web v1 201',
      'allowed mia manifest.delete acme/web v1 202',
    ])
    assert.ok(image)
    const last = entries.at(-1)
    assert.equal(last?.credential, 'password')
    assert.equal(last?.address, '127.0.0.1')
    assert.equal(last?.userAgent, 'test/1')
    assert.match(last?.rule ?? '', /mia .*maintainer.* acme/)
    assert.match(last?.requestId ?? '', /^[0-9a-f-]{36}$/)
  })

  it('keeps an upload in parts as one entry, when it ends', async () => {
    const { as } = await start()
    const dave = as('dave')
    const location = await dave.startUpload('acme/web')
    await dave.send('PATCH', location, { body: Buffer.from('bytes') })
    const other = await dave.startUpload('acme/web')
    await dave.send('DELETE', other)
    assert.deepEqual(await told(), [])
  })

  it('keeps refusals of those who are known', async () => {
    const { as } = await start()
    await as('gina').send('PUT', '/v2/acme/web/manifests/v1', { body: '{}' })
    await as('zoe').send('GET', '/v2/acme/web/manifests/v1')
    await as('zoe').send('GET', '/v2/acme/web/blobs/uploads/x')
    assert.deepEqual((await told()).map(brief), [
      'denied gina manifest.put acme/web v1 403',
      'denied zoe manifest.get acme/web v1 403',
      'denied zoe upload.status acme/web  403',
    ])
  })

  it('keeps wrong passwords with the name that was claimed, and no challenge of those who show nothing', async () => {
    const { as, url } = await start()
    const nobody = as()
    assert.equal((await nobody.send('GET', '/v2/')).status, 401)
    assert.equal((await nobody.send('GET', '/v2/acme/web/tags/list')).status, 401)
    const authorization = `Basic ${Buffer.from(':').toString('base64')}`
    await nobody.send('PUT', '/v2/acme/web/manifests/v1', { headers: { authorization }, body: '{}' })
    for (const [header, path] of [
      [basic('dave', 'wrong'), '/v2/'],
      [basic('impatient'), '/v2/'],
      ['Bearer abc', '/v2/acme/web/tags/list'],
      [`Basic ${'A'.repeat(100)}!`, '/v2/'],
    ] as const)
      await nobody.send('GET', path, { headers: { authorization: header } })
    assert.deepEqual((await told()).map(brief), [
      'denied (dave) base   401',
      'denied () base   429',
      'denied () tags.list acme/web  401',
      'denied () base   401',
    ])
    assert.ok(url)
  })

  it('keeps changes that failed of those who are let in, and no reading that failed', async () => {
    const { as } = await start()
    const dave = as('dave')
    await dave.putManifest('acme/web', 'v1', Buffer.from('nonsense'))
    await dave.send('GET', '/v2/acme/web/manifests/absent')
    await dave.send('PUT', '/v2/ACME/manifests/v1', { body: '{}' })
    await as().send('PUT', '/v2/ACME/manifests/v1', { body: '{}' })
    assert.deepEqual((await told()).map(brief), ['failed dave manifest.put acme/web v1 400'])
  })

  it('keeps pulls only where that is wanted', async () => {
    for (const pulls of [false, true]) {
      const { as, stop } = await start({ pulls })
      const digest = await as('dave')
        .pushImage('site/web', 'v1')
        .catch(() => undefined)
      assert.equal(digest, undefined)
      await as('admin').pushImage('site/web', 'v1')
      await told()
      trail = make({ pulls })
      await stop()
    }
    const { as } = await start({ pulls: true })
    await as('admin').pushImage('site/web', 'v1')
    await as().send('GET', '/v2/site/web/manifests/v1')
    await as().send('HEAD', '/v2/site/web/manifests/v1')
    await as().send('GET', '/v2/site/web/tags/list')
    const pulled = (await told()).filter(({ operation }) => operation.endsWith('.get'))
    assert.deepEqual(pulled.map(brief), ['allowed () manifest.get site/web v1 200'])
  })

  it('keeps logins, and a token for nobody is none', async () => {
    const login: Handler = request => {
      const account = request.query.get('account')
      if (account === 'wrong')
        throw new DomainError('unauthorized', 'Wrong.', {
          resource: 'registry',
          challenge: 'Basic realm="x"',
        })
      request.facts.caller = {
        account: account as never,
        isAdmin: false,
        tenants: [],
        credential: account === null ? undefined : 'refresh:abc',
        rule: 'token 1',
        decide: () => Promise.reject(new Error('not asked')),
        mayPush: () => Promise.reject(new Error('not asked')),
      }
      return json(200, {})
    }
    const route = { path: '/token', handler: login }
    const { as } = await start({}, [
      { ...route, method: 'GET', operation: 'token.get' },
      { ...route, method: 'POST', operation: 'token.post' },
    ])
    await as().send('GET', '/token')
    await as().send('GET', '/token?account=wrong')
    await as().send('GET', '/token?account=dave')
    await as().send('POST', '/token?account=wrong')
    const entries = await told()
    assert.deepEqual(entries.map(brief), ['allowed dave login   200', 'denied () login   401'])
    assert.equal(entries[0]?.credential, 'refresh:abc')
  })

  it('keeps a change of who may do what before it is acknowledged, also when it cannot be kept', async () => {
    let changes = 0
    const create: Handler = request => {
      changes += 1
      request.facts.target = 'tenant:new'
      request.facts.reference = 'x'
      return json(201, {})
    }
    const path = '/api/v1/tenants'
    const { as } = await start({}, [
      { method: 'POST', path, operation: 'tenant.create', handler: create },
      { method: 'GET', path, operation: 'tenant.list', handler: () => json(200, []) },
    ])
    assert.equal((await as().send('POST', path)).status, 201)
    assert.deepEqual(kept.entries.splice(0).map(brief), ['allowed () tenant.create tenant:new x 201'])
    await as().send('GET', path)
    kept.isAway = true
    assert.equal((await as().send('POST', path)).status, 503)
    kept.isAway = false
    assert.deepEqual((await told()).map(brief), ['allowed () tenant.create tenant:new x 201'])
    assert.equal(changes, 2)
  })

  it('makes one line that does nothing of whatever a client writes', async () => {
    const { url } = await start()
    const raw = await connectRaw(url)
    const hostile = '\u001b[31mred\u202e\u0085\u2028'
    raw.socket.write(
      Buffer.from(
        [
          // What is no name of a repository is refused before anybody is asked, and is worth no entry.
          'PUT /v2/acme/web/manifests/v1%00%0d%0a%1b%5b2Jfake%e2%80%ae%e2%80%a8 HTTP/1.1',
          'Host: x',
          `Authorization: ${basic('dave', 'wrong')}`,
          `User-Agent: ${hostile.replaceAll(/[\u001b\u2028\u202e]/g, '')}${'x'.repeat(1000)}`,
          'Content-Length: 0',
          'Connection: close',
          '',
          '',
        ].join('\r\n'),
      ),
    )
    await raw.ended()
    const entries = await told()
    assert.equal(entries.length, 1)
    for (const text of entries.flatMap(entry => Object.values(entry)))
      assert.doesNotMatch(String(text), /[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
    assert.equal(entries[0]?.reference, String.raw`v1\u0000\u000d\u000a\u001b[2Jfake\u202e\u2028`)
    assert.match(entries[0]?.userAgent ?? '', /\\u0085.*x…$/)
    assert.ok((entries[0]?.userAgent.length ?? 0) < 300)
  })

  it('keeps no more refusals of one address than it should, and all that is done', async () => {
    let now = 0
    const { as } = await start({ refusalsPerMinute: 3, now: () => now })
    const refuse = () => as().send('GET', '/v2/', { headers: { authorization: basic('dave', 'wrong') } })
    for (let count = 0; count < 6; count += 1) await refuse()
    await as('dave').pushBlob('acme/web', Buffer.from('x'))
    now += 60_000
    await refuse()
    // A clock that is set back does not end the log of refusals for so long.
    for (let count = 0; count < 5; count += 1) {
      now -= 1_000
      await refuse()
    }
    const outcomes = (await told()).map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, [
      ...['denied', 'denied', 'denied', 'allowed', 'denied'],
      ...['denied', 'denied', 'denied', 'denied', 'denied'],
    ])
    assert.deepEqual(dropped, [
      ['flood', 1],
      ['flood', 1],
      ['flood', 1],
    ])
  })

  it('waits while the database is away, loses what there is no room for, and says so', async () => {
    const log = keepLog()
    trail = make({ limit: 5, everyMs: 1, log: log.log })
    kept.isAway = true
    for (let index = 0; index < 8; index += 1) trail.record(auditEntry({ reference: String(index) }))
    await log.find(({ message }) => message === 'entries of the audit log cannot be written now; they wait')
    await log.find(({ level }) => level === 'error')
    kept.isAway = false
    await trail[Symbol.asyncDispose]()
    assert.deepEqual(
      kept.entries.map(({ reference }) => reference),
      ['0', '1', '2', '3', '4'],
    )
    assert.deepEqual(
      dropped.map(([where]) => where),
      ['database', 'database', 'database'],
    )
    kept.isAway = true
    const ended = keepLog()
    const failing = make({ log: ended.log })
    await rejectsWith('unavailable', failing.write(auditEntry()))
    await failing[Symbol.asyncDispose]()
    assert.deepEqual(dropped.at(-1), ['database', 1])
    const { message, count } = await ended.find(({ level }) => level === 'error')
    assert.equal(
      message,
      'entries of the audit log are lost, because they could not be written before the end',
    )
    assert.equal(count, 1)
  })

  it('counts how requests were let in, by few words', async () => {
    const { as } = await start()
    await as().send('GET', '/livez')
    await as().send('GET', '/v2/')
    await as('dave').send('GET', '/v2/')
    await as('zoe').send('GET', '/v2/acme/web/tags/list')
    await as().send('GET', '/v2/site/web/tags/list')
    for (const authorization of [basic('dave', 'x'), basic('impatient'), 'Bearer x', 'Negotiate x'])
      await as().send('GET', '/v2/', { headers: { authorization } })
    assert.deepEqual(measures, [
      'challenged nobody',
      'allowed password',
      'denied login',
      'allowed nobody',
      'unauthorized login',
      'throttled login',
      'unauthorized bearer',
      'unauthorized other',
    ])
    const metrics = createMetrics({
      uploadBuffers: { usedBytes: 0, limitBytes: 0, waiting: 0 },
      uploads: { openWriters: 0 },
    })
    metrics.accessMeasured('denied', 'login')
    metrics.auditDropped('flood', 2)
    const text = await metrics.text()
    assert.match(text, /varve_access_total\{outcome="denied",kind="login"\} 1/)
    assert.match(text, /varve_audit_dropped_total\{where="flood"\} 2/)
  })
})
