import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseChallenges } from '../../../src/storage/remote/challenge.ts'
import { mayAsk, tokenIn, tokenRequestOf, tokenUrlOf } from '../../../src/storage/remote/token.ts'

function requestFor(header: string) {
  const [challenge] = parseChallenges(header)
  assert.ok(challenge)
  return tokenRequestOf(challenge, ['repository:team/app:pull'])
}

describe('A request for a token', () => {
  for (const [scope, more] of [
    ['repository:team/app:pull', []],
    ['repository:proxied/team/app:pull', ['repository:proxied/team/app:pull']],
    ['repository:r.example:5000/app:pull', ['repository:r.example:5000/app:pull']],
    ['repository:team/app:pull,push', []],
    ['repository:team/app:*', []],
    ['registry:catalog:*', []],
    ['repository:a:pull repository:b:delete', ['repository:a:pull']],
  ] as const)
    it(`asks to pull, when the registry wants ${scope}`, () =>
      assert.deepEqual(requestFor(`Bearer realm="https://t.example/x",scope="${scope}"`)?.scopes, [
        'repository:team/app:pull',
        ...more,
      ]))

  it('keeps the query of the realm, and nobody that it names', () => {
    const request = requestFor('Bearer realm="https://u:p@t.example/x?y=1&scope=all",service="s t"')
    assert.ok(request)
    assert.equal(
      tokenUrlOf(request).href,
      'https://t.example/x?y=1&service=s+t&scope=repository%3Ateam%2Fapp%3Apull',
    )
  })

  for (const [realm, registry, may] of [
    ['https://t.example', 'https://r.example', true],
    ['https://t.example', 'http://r.example', true],
    ['http://r.example', 'https://r.example', false],
    ['http://t.example', 'http://r.example', false],
    ['http://r.example:5001', 'http://r.example:5000', true],
    ['http://localhost:5001', 'http://127.0.0.1:5000', true],
    ['http://127.0.0.1.evil.example', 'http://127.0.0.1', false],
    ['http://t.example', 'http://127.0.0.1', false],
  ] as const)
    it(`${may ? 'goes' : 'does not go'} to ${realm} for ${registry}`, () =>
      assert.equal(mayAsk(new URL(realm), new URL(registry)), may))

  for (const [answer, seconds] of [
    ['{"token":"t"}', 60],
    ['{"access_token":"t","expires_in":900}', 900],
    ['{"token":"t","access_token":"other","expires_in":"900"}', 60],
    ['{"token":"t","expires_in":1e309}', Number.POSITIVE_INFINITY],
  ] as const)
    it(`knows how long the token of ${answer} holds`, () =>
      assert.deepEqual(tokenIn(Buffer.from(answer)), { token: 't', lifetimeMs: seconds * 1000 }))
})
