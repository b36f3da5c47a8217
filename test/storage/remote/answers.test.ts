import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { lengthOf, selectionOf, totalIn } from '../../../src/storage/remote/blob-selection.ts'
import { nextLinkIn } from '../../../src/storage/remote/link.ts'
import { noProxyOf } from '../../../src/storage/remote/no-proxy.ts'
import { pullQuotaOf } from '../../../src/storage/remote/pull-quota.ts'
import { pauseBeforeRetry } from '../../../src/storage/remote/retries.ts'
import { retryAfterMsOf } from '../../../src/storage/remote/retry-after.ts'
import { offsetIn } from '../../../src/storage/remote/upload-session.ts'

function answer(status: number, headers: Readonly<Record<string, string>> = {}) {
  return { status, header: (name: string) => headers[name] }
}

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  for (const [header, ms] of [
    ['0', 0],
    ['120', 120_000],
    [' 3 ', 3000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['999999999', 86_400_000],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const)
    it(`${JSON.stringify(header)} is ${ms} ms`, () => assert.equal(retryAfterMsOf(header, now), ms))
})

describe('A pull quota', () => {
  const at = new Date()
  it("is Docker Hub's", () => {
    const headers = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '20;w=21600' }
    assert.deepEqual(pullQuotaOf(answer(200, headers).header, at), {
      limit: 100,
      remaining: 20,
      windowSeconds: 21600,
      at,
    })
  })
  it('may be what remains alone', () => {
    const { header } = answer(200, { 'ratelimit-remaining': '0' })
    assert.deepEqual(pullQuotaOf(header, at), {
      limit: undefined,
      remaining: 0,
      windowSeconds: undefined,
      at,
    })
  })
  for (const text of ['x', '', '-1', undefined])
    it(`is not known from ${JSON.stringify(text)}`, () =>
      assert.equal(
        pullQuotaOf(name => (name === 'ratelimit-remaining' ? text : '100'), at),
        undefined,
      ))
})

describe('Another attempt', () => {
  const retries = { attempts: 3, maxWaitMs: 10_000 }
  const unavailable = new DomainError('unavailable', 'x', { resource: 'registry' })
  const denied = new DomainError('denied', 'x', { resource: 'registry' })
  for (const status of [408, 429, 502, 503, 504])
    it(`is made after ${status}, twice`, () => {
      assert.equal(pauseBeforeRetry(answer(status), 1, retries, 0), 500)
      assert.equal(pauseBeforeRetry(answer(status), 2, retries, 1), 2000)
      assert.equal(pauseBeforeRetry(answer(status), 3, retries, 0), undefined)
    })
  for (const status of [200, 206, 304, 400, 401, 403, 404, 405, 416, 500, 501])
    it(`is not made after ${status}`, () =>
      assert.equal(pauseBeforeRetry(answer(status), 1, retries), undefined))
  it('waits as long as it is asked to, unless that is too long', () => {
    assert.equal(pauseBeforeRetry(answer(429, { 'retry-after': '9' }), 1, retries, 0), 9000)
    assert.equal(pauseBeforeRetry(answer(429, { 'retry-after': '11' }), 1, retries, 0), undefined)
  })
  it('is made for connections that broke', () => {
    assert.equal(pauseBeforeRetry({ error: unavailable }, 1, retries, 0), 500)
    assert.equal(pauseBeforeRetry({ error: denied }, 1, retries), undefined)
    assert.equal(pauseBeforeRetry({ error: new Error('bug') }, 1, retries), undefined)
  })
})

describe('The next page', () => {
  for (const [header, link] of [
    ['</v2/a/tags/list?last=x&n=2>; rel="next"', '/v2/a/tags/list?last=x&n=2'],
    ['<x>; rel=next', 'x'],
    ['<a>; rel="prev", <b>; title="t"; rel="next"', 'b'],
    ['<a>; REL="Next"', 'a'],
    ['<a>; rel="nextish"', undefined],
    ['a; rel="next"', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const)
    it(`is ${link} by ${JSON.stringify(header)}`, () => assert.equal(nextLinkIn(header), link))

  it('is looked for in a bounded time', () =>
    assert.equal(nextLinkIn('<'.repeat(100_000) + ';'.repeat(100_000)), undefined))
})

describe('What of an answer is wanted', () => {
  const wanted = { first: 10, last: 19 }
  it('is all of it', () =>
    assert.deepEqual(selectionOf(answer(200, { 'content-length': '5' }), { first: 0 }), {
      size: 5,
      skip: 0,
      take: 5,
      isWhole: true,
    }))
  it('is a part of it, where the range was not heard', () =>
    assert.deepEqual(selectionOf(answer(200, { 'content-length': '30' }), wanted), {
      size: 30,
      skip: 10,
      take: 10,
      isWhole: false,
    }))
  it('is nothing, where it is too short', () =>
    assert.equal(selectionOf(answer(200, { 'content-length': '10' }), wanted), 'outside'))
  it('is the range, cut to the end', () =>
    assert.deepEqual(selectionOf(answer(206, { 'content-range': 'bytes 10-14/15' }), wanted), {
      size: 15,
      skip: 0,
      take: 5,
      isWhole: true,
    }))
  for (const range of [
    '',
    'bytes 0-19/30',
    'bytes 10-18/30',
    'bytes 10-20/30',
    'bytes 11-19/30',
    'bytes 10-19/99999999999999999999',
    'octets 10-19/30',
    'bytes 10-19',
  ])
    it(`is not what comes as ${JSON.stringify(range)}`, () => {
      const selection = selectionOf(answer(206, { 'content-range': range }), wanted)
      assert.ok(typeof selection === 'object' && 'wrong' in selection)
    })
  it('is of the same blob as before', () => {
    for (const other of [
      answer(206, { 'content-range': 'bytes 10-19/31' }),
      answer(200, { 'content-length': '31' }),
    ]) {
      const selection = selectionOf(other, { ...wanted, size: 30 })
      assert.ok(typeof selection === 'object' && 'wrong' in selection)
    }
  })
  it('has a size that is a number', () => {
    for (const text of ['-1', '1e3', '0x10', '9'.repeat(16), ' ', '5, 6'])
      assert.equal(lengthOf(answer(200, { 'content-length': text })), undefined)
    assert.equal(totalIn('bytes */0'), 0)
    assert.equal(totalIn('bytes 0-0/*'), undefined)
  })
})

describe('Where an upload stands', () => {
  for (const [range, offset] of [
    ['0-0', 0],
    ['0-4', 5],
    ['bytes=0-4', 5],
    ['1-4', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const)
    it(`is ${offset} by ${JSON.stringify(range)}`, () => assert.equal(offsetIn(range), offset))
})

describe('What goes without the proxy', () => {
  const noProxy = noProxyOf([
    'Internal.example',
    '.corp',
    '10.0.0.0/8',
    'r.example:5000',
    '192.0.2.1',
    'fd00::/8',
  ])
  for (const [url, without] of [
    ['https://internal.example/', true],
    ['https://a.internal.example/', true],
    ['https://notinternal.example/', false],
    ['https://a.corp/', true],
    ['https://corp/', false],
    ['http://10.1.2.3:5000/', true],
    ['http://[fd00::1]/', true],
    ['http://192.0.2.1/', true],
    ['http://r.example:5000/', true],
    ['http://r.example/', false],
    ['http://localhost:5000/', true],
    ['http://127.0.0.1/', true],
    ['https://quay.example/', false],
  ] as const)
    it(`is ${without ? '' : 'not '}${url}`, () => assert.equal(noProxy.includes(new URL(url)), without))
  it('may be everything', () =>
    assert.equal(noProxyOf(['*']).includes(new URL('https://quay.example/')), true))
})
