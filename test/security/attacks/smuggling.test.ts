/** Requests that others on the way may read otherwise than this server does. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { basic } from '../../support/known-identities.ts'
import { connectRaw } from '../../support/raw-http.ts'

const manifest = '/v2/acme/app/manifests/1'
const secrets = /schemaVersion|acme keeps/

describe('A request that can be read in two ways', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let dave: string
  let zoe: string

  before(async () => {
    registry = resources.use(await startAttacked())
    dave = registry.login('dave')
    zoe = registry.login('zoe')
  })
  after(() => resources.disposeAsync())

  const lines = (...parts: readonly string[]) => `${parts.join('\r\n')}\r\n\r\n`

  /** One answer, of this status, with nothing of what is kept from strangers. */
  async function refused(status: number, text: string): Promise<string> {
    return await registry.unharmed(async () => {
      const answer = await registry.raw(text)
      assert.equal(answer.status, status, answer.text)
      assert.equal(answer.answers, 1)
      assert.doesNotMatch(answer.text, secrets)
      return answer.text
    })
  }

  const get = (path: string, ...headers: readonly string[]) =>
    lines(`GET ${path} HTTP/1.1`, `Host: ${registry.host}`, ...headers, 'Connection: close')

  it('because it says twice who sends it is refused, whoever comes first', async () => {
    for (const [first, second] of [
      [dave, zoe],
      [zoe, dave],
      [dave, dave],
      [dave, 'Bearer x'],
      ['', dave],
    ])
      for (const path of [manifest, '/token', '/api/v1/whoami']) {
        const text = await refused(400, get(path, `Authorization: ${first}`, `authorization: ${second}`))
        assert.match(text, /header authorization more than once/)
      }
  })

  it('because it says twice to whom it is sent is refused', async () => {
    await refused(400, get('/v2/', 'Host: attacker.example'))
    await refused(400, lines('GET /v2/ HTTP/1.1', 'Connection: close'))
  })

  it('because it says twice what its body is, is refused', async () => {
    const post = [
      'POST /api/v1/tenants HTTP/1.1',
      `Host: ${registry.host}`,
      `Authorization: ${registry.login('root')}`,
    ]
    const types = ['Content-Type: text/plain', 'Content-Type: application/json']
    const body = '{"name":"evil"}'
    await refused(
      400,
      `${lines(...post, ...types, `Content-Length: ${body.length}`, 'Connection: close')}${body}`,
    )
  })

  for (const [what, header] of [
    ['folds its credentials', 'Authorization: Basic\r\n CREDENTIALS'],
    ['hides its credentials in the fold of another header', 'X-A: b\r\n Authorization: Basic CREDENTIALS'],
    ['has a NUL behind its credentials', 'Authorization: Basic CREDENTIALS\0'],
    ['has a NUL in the name of the header', 'Authorization\0: Basic CREDENTIALS'],
    ['has a carriage return alone in a header', 'X-A: b\rAuthorization: Basic CREDENTIALS'],
    ['has a newline alone in a header', 'X-A: b\nAuthorization: Basic CREDENTIALS'],
    ['has a blank before the colon', 'Authorization : Basic CREDENTIALS'],
    ['has a tab before the colon', 'Authorization\t: Basic CREDENTIALS'],
    ['has a header without a name', ': x\r\nAuthorization: Basic CREDENTIALS'],
    ['has two lengths', 'Content-Length: 0\r\nContent-Length: 5'],
    ['has a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
    ['has chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 5'],
    ['has chunks that are not the last coding', 'Transfer-Encoding: chunked, identity'],
    ['has an encoding that is none', 'Transfer-Encoding: identity'],
    ['has an encoding that is almost one', 'Transfer-Encoding: xchunked'],
    ['has an encoding behind a vertical tab', 'Transfer-Encoding:\x0bchunked'],
    ['has two encodings', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'],
    ['has a blank behind Transfer-Encoding', 'Transfer-Encoding : chunked'],
    ['has a length with a sign', 'Content-Length: +5'],
    ['has a negative length', 'Content-Length: -1'],
    ['has a length in hexadecimal', 'Content-Length: 0x5'],
    ['has a list of lengths', 'Content-Length: 5, 5'],
    ['has a length beyond all numbers', 'Content-Length: 99999999999999999999'],
  ] as const)
    it(`because it ${what} is refused`, async () => {
      const filled = header.replace('CREDENTIALS', dave.slice('Basic '.length))
      const text = await refused(400, get(manifest, filled))
      assert.match(text, /Connection: close/)
    })

  it('because a second one is in its body is answered once, and the second one never', async () => {
    const inner = get(manifest, `Authorization: ${dave}`)
    const post = (path: string, ...headers: readonly string[]) =>
      lines(
        `POST ${path} HTTP/1.1`,
        `Host: ${registry.host}`,
        ...headers,
        `Content-Length: ${inner.length}`,
        'Connection: close',
      )
    await refused(400, post('/token', 'Content-Type: application/x-www-form-urlencoded') + inner)
    await refused(401, post('/v2/acme/app/blobs/uploads/') + inner)
    await refused(401, get('/v2/', `Content-Length: ${inner.length}`) + inner)
    await refused(405, post('/v2/') + inner)
    const chunked = lines(
      'POST /v2/acme/app/blobs/uploads/ HTTP/1.1',
      `Host: ${registry.host}`,
      'Transfer-Encoding: chunked',
      'Connection: close',
    )
    const smuggled = `0;${'x'.repeat(10)}\r\n\r\n${inner}`
    await registry.unharmed(async () => {
      const answer = await registry.raw(chunked + smuggled)
      // What follows a last request is no HTTP; which of the two is found first makes no difference.
      assert.ok([400, 401].includes(answer.status))
      assert.equal(answer.answers, 1)
    })
  })

  it('because its chunks are malformed is refused', async () => {
    const head = lines(
      'PUT /v2/acme/app/manifests/x HTTP/1.1',
      `Host: ${registry.host}`,
      `Authorization: ${dave}`,
      'Content-Type: application/vnd.oci.image.manifest.v1+json',
      'Transfer-Encoding: chunked',
    )
    for (const body of [
      'zz\r\n',
      '5 \r\nabcde\r\n0\r\n\r\n',
      '-1\r\n',
      '0x5\r\nabcde\r\n',
      'fffffffffffffffff\r\n',
      '5\nabcde\n0\n\n',
      '2\r\nabcde\r\n0\r\n\r\n',
      `5;${'a'.repeat(20_000)}\r\n`,
    ])
      await registry.unharmed(async () => {
        const answer = await registry.raw(head + body)
        assert.ok(
          [400, 413].includes(answer.status),
          `${JSON.stringify(body.slice(0, 20))}: ${answer.status}`,
        )
        assert.equal(answer.answers, 1)
      })
  })

  it('with credentials in other places than their own is of nobody', async () => {
    for (const headers of [
      [`Proxy-Authorization: ${dave}`],
      [`X-Authorization: ${dave}`],
      [`Cookie: authorization=${dave}`],
      [`WWW-Authenticate: ${dave}`],
      ['X-Forwarded-User: root', 'X-Remote-User: root', 'Remote-User: root', 'X-Auth-Request-User: root'],
      [
        'X-Forwarded-Client-Cert: Subject="CN=root"',
        'X-SSL-Client-S-DN: CN=root',
        'X-SSL-Client-Verify: SUCCESS',
      ],
      ['X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1', 'Forwarded: for=127.0.0.1'],
      [`Trailer: Authorization`],
    ])
      await refused(401, get(manifest, ...headers))
    await refused(401, get(`${manifest}?access_token=${registry.tokenOf('dave')}`))
  })

  it('with a trailer that has credentials is of nobody', async () => {
    const head = lines(
      'PUT /v2/acme/app/manifests/x HTTP/1.1',
      `Host: ${registry.host}`,
      'Trailer: Authorization',
      'Transfer-Encoding: chunked',
      'Connection: close',
    )
    await refused(401, `${head}0\r\nAuthorization: ${dave}\r\n\r\n`)
  })

  it('with a target that has credentials is of nobody, and they are in no log', async () => {
    const target = `http://dave:${registry.tokenOf('dave')}@${registry.host}${manifest}`
    await refused(401, get(target))
    await refused(401, get(`https://root@x/v2/site/app/../../acme/app/manifests/1`))
    assert.ok(!registry.kept.text().includes(registry.tokenOf('dave')))
  })

  it('with another target in a header is for the one in its line', async () => {
    const mia = registry.login('mia')
    await registry.unharmed(async () => {
      const overridden = await registry.raw(
        get(
          manifest,
          `Authorization: ${mia}`,
          'X-HTTP-Method-Override: DELETE',
          'X-Method-Override: DELETE',
          'X-HTTP-Method: DELETE',
        ),
      )
      assert.equal(overridden.status, 200)
      const rewritten = await registry.raw(
        get('/v2/site/app/manifests/1', `X-Original-URL: ${manifest}`, `X-Rewrite-URL: ${manifest}`),
      )
      assert.equal(rewritten.status, 200)
      assert.ok(!rewritten.text.includes(registry.manifest))
    })
  })

  it('by an odd method does nothing, and gets nothing of its own headers back', async () => {
    for (const [method, status] of [
      ['TRACE', 405],
      ['PROPFIND', 405],
      ['OPTIONS', 405],
      ['get', 400],
      ['Get', 400],
      ['GETX', 400],
      ['PRI', 400],
    ] as const) {
      const text = await refused(status, get(manifest, `Authorization: ${dave}`).replace('GET', method))
      assert.ok(!text.includes(dave))
    }
    const tunnel = await registry.raw(lines('CONNECT 127.0.0.1:22 HTTP/1.1', `Host: ${registry.host}`))
    assert.equal(tunnel.text, '')
  })

  it('to become another protocol stays what it is', async () => {
    await refused(401, get(manifest, 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'))
    await refused(
      401,
      get(manifest, 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13'),
    )
    await refused(400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    await refused(401, `GET ${manifest} HTTP/1.0\r\n\r\n`)
  })

  it('after one of somebody else, on the same connection, is of nobody', async () => {
    const raw = await connectRaw(registry.url)
    const keep = lines(`GET /v2/acme/app/tags/list HTTP/1.1`, `Host: x`, `Authorization: ${dave}`)
    raw.socket.write(keep + get('/v2/acme/app/tags/list'))
    const text = await raw.ended()
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 401'])
  })

  it('is of whoever it says, and of nobody else who has used the connection', async () => {
    const raw = await connectRaw(registry.url)
    const asked = [dave, zoe, dave, `${dave}x`, '', dave, dave, zoe]
    for (const [index, shown] of asked.entries()) {
      const headers = [...(shown === '' ? [] : [`Authorization: ${shown}`]), 'Host: x']
      const last = index === asked.length - 1 ? ['Connection: close'] : []
      raw.socket.write(lines('GET /v2/acme/app/tags/list HTTP/1.1', ...headers, ...last))
    }
    const answers = (await raw.ended()).match(/HTTP\/1\.1 \d+/g)?.map(line => Number(line.slice(-3)))
    assert.deepEqual(answers, [200, 403, 200, 401, 401, 200, 200, 403])
  })
})

describe('The challenge', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())

  const challengeFor = async (...headers: readonly string[]) => {
    const { status, text } = await registry.raw(
      `GET /v2/ HTTP/1.1\r\n${headers.join('\r\n')}\r\nConnection: close\r\n\r\n`,
    )
    assert.equal(status, 401, text)
    const challenges = text.match(/^WWW-Authenticate: .*$/gim) ?? []
    assert.equal(challenges.length, 1)
    return challenges[0]
  }

  for (const host of [
    'a",realm="https://attacker.example/token',
    'attacker.example"',
    'dave@attacker.example',
    'attacker.example/x?y#',
    'attacker.example:',
    'attacker.example:99999999',
    'a b',
    "'",
    '<script>',
    '\u00e9vil',
    '-x',
    'a\\b',
    '[::1',
    '[::1]x',
    '%0d%0aX: y',
    '',
    'x'.repeat(300),
  ])
    it(`names no host that is none: ${JSON.stringify(host.slice(0, 50))}`, async () => {
      const challenge = await challengeFor(`Host: ${host}`)
      assert.equal(challenge, 'WWW-Authenticate: Bearer realm="http://localhost/token",service="varve"')
    })

  it('believes no header of a stranger about where the registry is', async () => {
    const challenge = await challengeFor(
      `Host: ${registry.host}`,
      'X-Forwarded-Host: attacker.example',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 1',
      'X-Forwarded-Server: attacker.example',
      'X-Host: attacker.example',
      'Forwarded: host=attacker.example;proto=https;for=192.0.2.1',
      'X-Forwarded-Prefix: /attacker',
    )
    assert.equal(challenge, `WWW-Authenticate: Bearer realm="http://${registry.host}/token",service="varve"`)
  })

  it('names what is configured, whatever the client says', async () => {
    await using configured = await startAttacked({ 'auth.realm': 'https://registry.example/token' })
    const { text } = await configured.raw(
      'GET /v2/ HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n',
    )
    assert.match(text, /Bearer realm="https:\/\/registry\.example\/token",service="varve"\r\n/)
  })
})

describe('A stranger who says to be at another address', () => {
  const forwarded = (index: number) => ({
    'x-forwarded-for': `198.51.100.${index}`,
    forwarded: `for=198.51.100.${index}`,
    'x-real-ip': `198.51.100.${index}`,
    'true-client-ip': `198.51.100.${index}`,
    'cf-connecting-ip': `198.51.100.${index}`,
  })

  it('is limited all the same, at the token service and elsewhere', async () => {
    await using registry = await startAttacked({
      'limits.loginsPerMinute': 5,
      'limits.requestsPerSecond': 0.001,
      'limits.requestBurst': 20,
    })
    const logins = []
    for (let index = 0; index < 8; index += 1)
      logins.push((await registry.with().send('GET', '/token', { headers: forwarded(index) })).status)
    assert.ok(
      logins.slice(5).every(status => status === 429),
      logins.join(),
    )
    const pulls = []
    for (let index = 0; index < 30; index += 1) {
      const call = { headers: forwarded(index) }
      pulls.push((await registry.with().send('GET', '/v2/site/app/tags/list', call)).status)
    }
    assert.equal(pulls[0], 200)
    assert.ok(
      pulls.slice(21).every(status => status === 429),
      pulls.join(),
    )
  })

  it('waits all the same after wrong passwords', async () => {
    await using registry = await startAttacked({ 'auth.maxFailures': 2, 'auth.mode': 'basic' })
    const statuses = []
    for (let index = 0; index < 4; index += 1) {
      const guess = registry.with(basic('dave', `a-wrong-password-${index}`))
      statuses.push((await guess.send('GET', '/v2/', { headers: forwarded(index) })).status)
    }
    assert.deepEqual(statuses.slice(0, 2), [401, 401])
    assert.equal(statuses.at(-1), 429)
    const entries = (await registry.audited()).filter(({ outcome }) => outcome === 'denied')
    assert.ok(entries.every(({ address }) => address === '127.0.0.1'))
  })
})
