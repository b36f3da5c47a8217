/** What strangers write, where others read it: in logs, and on terminals. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { actingCharacters } from '../../../src/acting-characters.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { basic } from '../../support/known-identities.ts'
import { runVarve } from '../../support/run-varve.ts'

/** The same, but for the newline that ends each line. */
const acting = new RegExp(actingCharacters.source.replace('\\p{Cc}', '(?!\\n)\\p{Cc}'), 'u')

const forged = '%0a{"level":"info","message":"forged"}'
const odd = [
  '%0a',
  '%0d%0a',
  '%1b[2J',
  '%00',
  '%7f',
  '%c2%9b2J',
  '%e2%80%ae',
  '%e2%80%a8',
  '%e2%81%a6',
  '%ff',
  forged,
]

describe('A log', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    // Each text from another address: so many refusals of one are not all kept.
    registry = resources.use(await startAttacked({ 'registry.trustedProxies': '127.0.0.0/8' }))
    const zoe = registry.login('zoe')
    const request = (line: string, ...headers: readonly string[]) =>
      registry.raw(
        Buffer.from(
          [line, `Host: ${registry.host}`, ...headers, 'Content-Length: 0', 'Connection: close', '', ''].join(
            '\r\n',
          ),
          'latin1',
        ),
      )
    for (const [at, text] of odd.entries())
      for (const authorization of [zoe, registry.login('dave'), 'Bearer x'])
        for (const line of [
          `GET /v2/acme/app/manifests/${text} HTTP/1.1`,
          `PUT /v2/acme/app/manifests/${text} HTTP/1.1`,
          `DELETE /v2/acme/app/blobs/${text} HTTP/1.1`,
          `POST /v2/acme/app/blobs/uploads/?mount=${text}&from=${text} HTTP/1.1`,
          `POST /v2/acme/app/blobs/uploads/?digest=${text} HTTP/1.1`,
          `GET /v2/acme/${text}/tags/list HTTP/1.1`,
          `GET /v2/${text}/_${text}/x/y HTTP/1.1`,
          `GET /${text} HTTP/1.1`,
          `GET /api/v1/users/${text} HTTP/1.1`,
          `DELETE /api/v1/tenants/${text} HTTP/1.1`,
          `DELETE /api/v1/accounts/${text}/tokens/${text} HTTP/1.1`,
          `GET /api/v1/audit?account=${text}&target=${text} HTTP/1.1`,
          `GET /token?service=${text}&scope=${text}&account=${text}&client_id=${text}&offline_token=true HTTP/1.1`,
          `GET /auth/login/${text}?state=${text} HTTP/1.1`,
        ])
          await request(line, `Authorization: ${authorization}`, `X-Forwarded-For: 192.0.2.${at}`)
    for (const agent of ['a\x9b2Jb', 'a\x85b', 'a\tb', '\xe2\x80\xae', '{"level":"info"}', 'x'.repeat(9000)])
      for (const id of [agent, agent.slice(0, 30), 'a;b', '../../x', "'--"])
        await request(
          'GET /v2/acme/app/manifests/1 HTTP/1.1',
          `Authorization: ${zoe}`,
          `User-Agent: ${agent}`,
          `X-Request-Id: ${id}`,
          `X-Forwarded-For: ${agent}`,
          `Forwarded: for="${agent}"`,
          `Referer: ${agent}`,
        )
    for (const name of [
      'da\nve',
      'da\u202eve',
      'da\u001b[31mve',
      'a-password-in-the-wrong-place!',
      `x${'y'.repeat(5000)}`,
    ])
      for (const path of ['/v2/', '/token', '/api/v1/whoami'])
        await request(`GET ${path} HTTP/1.1`, `Authorization: ${basic(name, 'x')}`)
    for (const junk of [
      '\x1b[2J\r\n\r\n',
      'GET /\x1b[2J HTTP/1.1\r\n\r\n',
      'GET / HTTP/1.1\r\nX: \x1b\r\n\r\n',
      '\x9b\xff\r\n\r\n',
    ])
      await registry.raw(Buffer.from(junk, 'latin1'))
    // Entries are written in their order, some time later.
    const last = { 'x-request-id': 'the-last', 'x-forwarded-for': '192.0.2.250' }
    await registry.with(zoe).send('GET', '/v2/acme/app/tags/list', { headers: last })
    while (!(await registry.audited()).some(({ requestId }) => requestId === 'the-last')) await sleep(50)
  })
  after(() => resources.disposeAsync())

  it('of requests has one line for each, and nothing in it that acts', () => {
    const text = registry.kept.text()
    assert.ok(text.split('\n').length > 500)
    for (const line of text.split('\n')) {
      assert.doesNotMatch(line, acting)
      if (line === '') continue
      const { message, level, requestId = '', userAgent = '' } = JSON.parse(line) as Record<string, string>
      assert.notEqual(message, 'forged')
      assert.ok(['info', 'warn'].includes(level ?? ''), line)
      assert.match(requestId, /^[\w.-]{0,64}$/)
      assert.ok(userAgent.length <= 2000)
    }
  })

  it('of the audit, in its file, has one entry in each line, and nothing in it that acts', async () => {
    const text = await readFile(join(registry.directory, 'audit.jsonl'), 'utf8')
    for (const line of text.split('\n')) assert.doesNotMatch(line, acting)
    const entries = await registry.audited()
    assert.ok(entries.length > 50, String(entries.length))
    for (const entry of entries) {
      assert.ok(JSON.stringify(entry).length < 3000)
      assert.notEqual(entry['message'], 'forged')
      assert.match(String(entry['address']), /^(?:192\.0\.2\.\d+|127\.0\.0\.1)$/)
    }
  })

  it('of the audit, as varve audit prints it, has nothing in it that acts', async () => {
    for (const more of [[], ['--json']]) {
      const args = ['audit', '--data', registry.directory, '-n', '1000', ...more]
      const { code, stdout, stderr } = await runVarve(args)
      assert.equal(code, 0, stderr)
      assert.ok(stdout.length > 1000)
      for (const line of stdout.split('\n')) assert.doesNotMatch(line, acting)
      assert.doesNotMatch(stdout, /^\{"level":"info","message":"forged"\}/m)
    }
  })

  it('holds no password, whatever place it was put in, and no token', async () => {
    const files = [registry.kept.text(), await readFile(join(registry.directory, 'audit.jsonl'), 'utf8')]
    for (const text of files) {
      assert.ok(!text.includes('a-password-in-the-wrong-place'))
      for (const name of ['zoe', 'dave', 'root']) {
        assert.ok(!text.includes(registry.tokenOf(name)))
        assert.ok(!text.includes(registry.login(name).slice('Basic '.length)))
      }
      assert.doesNotMatch(text, /vr[vr]_[a-z0-9]{16}_|eyJ[\w-]{20,}\./)
    }
  })
})
