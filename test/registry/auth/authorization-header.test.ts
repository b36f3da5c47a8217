import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maxAuthorization, parseAuthorization } from '../../../src/registry/auth/authorization-header.ts'

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64')

describe('The header Authorization', () => {
  for (const [header, username, password] of [
    [`Basic ${base64('alice:secret')}`, 'alice', 'secret'],
    [`bAsIc   ${base64('alice:secret')} `, 'alice', 'secret'],
    [`Basic ${base64('alice:a:b:')}`, 'alice', 'a:b:'],
    [`Basic ${base64('alice:')}`, 'alice', ''],
    [`Basic ${base64('alice:pässwörd')}`, 'alice', 'pässwörd'],
    [`Basic ${base64('a:b').replaceAll('=', '')}`, 'a', 'b'],
  ] as const)
    it(`is a user name and a password: ${header}`, () => {
      assert.deepEqual(parseAuthorization(header), { kind: 'basic', username, password })
    })

  for (const header of [undefined, '', 'Basic Og==', `Basic ${base64(':secret')}`])
    it(`is nobody: ${header}`, () => {
      assert.deepEqual(parseAuthorization(header), { kind: 'none' })
    })

  for (const header of ['Bearer vrv_abc_DEF-0', 'BEARER a.b.c', 'bearer x=='])
    it(`is a token: ${header}`, () => {
      assert.deepEqual(parseAuthorization(header), { kind: 'bearer', token: header.split(' ')[1] })
    })

  for (const [what, header] of [
    ['another scheme', 'Digest username="x"'],
    ['no scheme', base64('alice:secret')],
    ['nothing after the scheme', 'Basic'],
    ['two words after it', `Basic ${base64('alice:secret')} x`],
    ['a tab', `Basic\t${base64('alice:secret')}`],
    ['what is no base64', 'Basic al!ce'],
    ['a character too many in base64', `Basic ${base64('alice:abc')}x`],
    ['bits too many in base64', `Basic ${base64('alice:a').replace('YQ', 'YR')}`],
    ['no colon', `Basic ${base64('alice')}`],
    ['a NUL', `Basic ${base64('alice:a\0b')}`],
    ['a line break', `Basic ${base64('alice\r\nX: y:b')}`],
    ['an escape of a terminal', `Basic ${base64('\u001b[31malice:b')}`],
    ['bytes that are no UTF-8', `Basic ${base64(Buffer.from([0x61, 0x3a, 0xff, 0xfe]))}`],
    ['too much', `Basic ${'A'.repeat(maxAuthorization)}`],
    ['a token with a comma', 'Bearer a,b'],
    ['two credentials in one', `Basic ${base64('a:b')}, Bearer x`],
  ] as const)
    it(`is malformed with ${what}, and that is told without a word of it`, () => {
      const parsed = parseAuthorization(header)
      assert.ok(parsed.kind === 'malformed')
      assert.doesNotMatch(parsed.why, /alice|secret|AAAA/)
    })

  it('may be anything', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.uint8Array().map(bytes => `Basic ${base64(bytes)}`),
      fc.string().map(text => `Bearer ${text}`),
    )
    fc.assert(
      fc.property(headers, header => {
        const parsed = parseAuthorization(header)
        if (parsed.kind === 'basic') {
          assert.ok(parsed.username !== '' && !parsed.username.includes(':'))
          assert.doesNotMatch(parsed.username + parsed.password, /\p{Cc}/u)
        }
      }),
    )
  })
})
