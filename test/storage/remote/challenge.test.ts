import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseChallenges } from '../../../src/storage/remote/challenge.ts'

function parsed(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])
}

describe('parseChallenges', () => {
  it("reads distribution's bearer challenge", () => {
    assert.deepEqual(
      parsed('Bearer realm="https://a.example/token",service="r",scope="repository:a/b:pull,push"'),
      [['bearer', { realm: 'https://a.example/token', service: 'r', scope: 'repository:a/b:pull,push' }]],
    )
  })

  it('reads several challenges in one header', () => {
    assert.deepEqual(parsed('Basic realm="a, b", Bearer realm="https://x/", service=plain'), [
      ['basic', { realm: 'a, b' }],
      ['bearer', { realm: 'https://x/', service: 'plain' }],
    ])
  })

  it('reads quoted pairs', () => {
    assert.deepEqual(parsed(String.raw`Basic realm="say \"hi\""`), [['basic', { realm: 'say "hi"' }]])
  })

  it('ends soon for white space without end', () => {
    assert.deepEqual(parsed(`Bearer realm=x${' '.repeat(1_000_000)}"`), [['bearer', { realm: 'x' }]])
  })

  it('never throws and always ends', () => {
    fc.assert(fc.property(fc.string(), text => Array.isArray(parseChallenges(text))))
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '=', '"', ',', ' ', '\\') }), text =>
        Array.isArray(parseChallenges(text)),
      ),
    )
  })
})
