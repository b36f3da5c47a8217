import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { basicChallenge, bearerChallenge, realmFor, scopesOf } from '../../../src/registry/auth/challenge.ts'
import type { Action } from '../../../src/storage/accounts/roles.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'

const wants = (name: string, ...actions: readonly Action[]) =>
  actions.map(action => ({ kind: 'repository', name: parseRepositoryName(name), action }) as const)
const realm = 'https://registry.example.com/token'

describe('A challenge', () => {
  it('of tokens is as distribution writes it', () => {
    const service = 'registry.example.com'
    assert.equal(
      bearerChallenge({ realm, service, wanted: [] }),
      'Bearer realm="https://registry.example.com/token",service="registry.example.com"',
    )
    const wanted = [...wants('a/b', 'push', 'pull'), ...wants('c/d', 'pull'), ...wants('a/b', 'delete')]
    assert.equal(
      bearerChallenge({ realm, service, wanted, error: 'insufficient_scope' }),
      'Bearer realm="https://registry.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push,delete repository:c/d:pull",error="insufficient_scope"',
    )
  })

  it('has one scope for each resource', () => {
    assert.deepEqual(scopesOf([{ kind: 'catalog' }, ...wants('a', 'pull'), ...wants('a', 'pull')]), [
      'registry:catalog:*',
      'repository:a:pull',
    ])
  })

  it('of passwords names the registry', () => {
    assert.equal(basicChallenge('varve'), 'Basic realm="varve"')
  })

  it('is one line of one challenge, whatever it is made from', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('a"b', 'a\\', 'x\r\nSet-Cookie: a=b', '",Basic realm="'),
    )
    fc.assert(
      fc.property(text, text, (realm, service) => {
        assert.match(
          bearerChallenge({ realm, service, wanted: [] }),
          /^Bearer realm="[\x20-\x7e]*",service="[^"\\]*"$/,
        )
        assert.match(basicChallenge(realm), /^Basic realm="[^"\\\r\n]*"$/)
      }),
    )
  })

  it('names the token service where the client has called', () => {
    for (const [host, expected] of [
      ['registry.example.com', 'https://registry.example.com/token'],
      ['localhost:5000', 'https://localhost:5000/token'],
      ['[2001:db8::1]:5000', 'https://[2001:db8::1]:5000/token'],
    ] as const)
      assert.equal(realmFor('https', host), expected)
  })

  it('repeats nothing that is no host', () => {
    for (const host of [
      '',
      'a b',
      'evil.example/x?',
      'a"b',
      'user@evil',
      'a:b',
      'a:123456',
      '-a',
      `${'a'.repeat(300)}`,
      'a\r\nb',
      '[::1',
      // These have the form of one; the browser login makes a URL of it.
      'a:99999',
      '1.2.3.999',
      '[::::]',
    ])
      assert.equal(realmFor('http', host), 'http://localhost/token', host)
  })
})
