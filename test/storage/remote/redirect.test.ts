import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import { headersFor, redirectTarget } from '../../../src/storage/remote/redirect.ts'

const from = new URL('https://registry.example/v2/a/blobs/x')

describe('redirectTarget', () => {
  for (const [location, target] of [
    ['/elsewhere', 'https://registry.example/elsewhere'],
    ['//storage.example/x', 'https://storage.example/x'],
    ['https://somebody:secret@storage.example/x?signature=1', 'https://storage.example/x?signature=1'],
  ] as const)
    it(`follows ${location}`, () => assert.equal(redirectTarget(from, location).href, target))

  for (const location of [undefined, 'http://[', 'http://registry.example/x', 'ftp://registry.example/x'])
    it(`refuses ${location ?? 'a redirect without an address'}`, () =>
      assert.throws(
        () => redirectTarget(from, location),
        error => isDomainError(error, 'unsupported'),
      ))
})

describe('headersFor', () => {
  const headers = { accept: 'x', authorization: 'Bearer t' }
  for (const [target, kept] of [
    ['https://registry.example/y', true],
    ['https://registry.example:444/y', false],
    ['https://storage.registry.example/y', false],
    ['http://registry.example/y', false],
  ] as const)
    it(`${kept ? 'keeps' : 'drops'} credentials for ${target}`, () =>
      assert.deepEqual(headersFor(new URL(target), from, headers), kept ? headers : { accept: 'x' }))
})
