import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  algorithmOf,
  createDigester,
  createResumableDigester,
  type DigestAlgorithm,
  digestOf,
  hexOf,
  parseDigest,
  resumeDigester,
} from '../../src/storage/digest.ts'
import { rejectsWith } from '../support/rejects.ts'

const algorithms = ['sha256', 'sha512'] as const
const anyAlgorithm = fc.constantFrom<DigestAlgorithm>(...algorithms)

function openssl(bytes: Uint8Array, algorithm: DigestAlgorithm): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

describe('Digests', () => {
  it('are those of FIPS 180-4', () => {
    const abc = Buffer.from('abc')
    assert.equal(digestOf(abc), 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    assert.equal(
      digestOf(abc, 'sha512'),
      'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    )
    assert.equal(
      digestOf(new Uint8Array()),
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    )
  })

  it('are OpenSSL’s, by every way of computing them', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), anyAlgorithm, (chunks, algorithm) => {
        const whole = Buffer.concat(chunks)
        const expected = openssl(whole, algorithm)
        const digesters = [createDigester(algorithm), createResumableDigester(algorithm)]
        for (const digester of digesters) for (const chunk of chunks) digester.update(chunk)
        for (const digester of digesters) assert.equal(digester.digest(), expected)
        assert.equal(digestOf(whole, algorithm), expected)
      }),
    )
  })

  it('can be asked for in the middle, and go on', () => {
    for (const algorithm of algorithms)
      for (const digester of [createDigester(algorithm), createResumableDigester(algorithm)]) {
        digester.update(Buffer.from('a'))
        assert.equal(digester.digest(), openssl(Buffer.from('a'), algorithm))
        assert.equal(digester.digest(), openssl(Buffer.from('a'), algorithm))
        digester.update(Buffer.from('b'))
        assert.equal(digester.digest(), openssl(Buffer.from('ab'), algorithm))
      }
  })

  it('continue from saved states, wherever the bytes were split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 6 }),
        anyAlgorithm,
        (chunks, algorithm) => {
          let saved = createResumableDigester(algorithm).save()
          for (const chunk of chunks) {
            const digester = resumeDigester(saved)
            assert.equal(digester.algorithm, algorithm)
            digester.update(chunk)
            saved = digester.save()
          }
          assert.equal(resumeDigester(saved).digest(), openssl(Buffer.concat(chunks), algorithm))
        },
      ),
    )
  })

  it('continue at every offset around the ends of blocks', () => {
    const bytes = Buffer.alloc(300, 'sediment')
    for (const algorithm of algorithms)
      for (let split = 0; split <= bytes.length; split++) {
        const first = createResumableDigester(algorithm)
        first.update(bytes.subarray(0, split))
        const saved = first.save()
        first.update(Buffer.from('what comes later does not change what was saved'))
        const second = resumeDigester(saved)
        second.update(bytes.subarray(split))
        assert.equal(second.digest(), openssl(bytes, algorithm), `${algorithm} at ${split}`)
      }
  })

  it('do not continue from a text of another form', async () => {
    for (const text of ['', 'h1', 'h1 md5 1,2 AA== 1', 'h0 sha256 1,2,3,4,5,6,7,8  0', '{}'])
      await rejectsWith(
        'invalid',
        Promise.resolve().then(() => resumeDigester(text)),
      )
  })

  it('are parsed and taken apart', () => {
    for (const algorithm of algorithms) {
      const text = openssl(Buffer.from('x'), algorithm)
      const digest = parseDigest(text)
      assert.equal(digest, text)
      assert.equal(algorithmOf(digest), algorithm)
      assert.equal(`${algorithm}:${hexOf(digest)}`, text)
    }
  })

  const hex = 'a'.repeat(64)
  const bad: Readonly<Record<string, string>> = {
    nothing: '',
    'no algorithm': hex,
    'an empty algorithm': `:${hex}`,
    'an empty value': 'sha256:',
    'too few digits': `sha256:${hex.slice(1)}`,
    'too many digits': `sha256:${hex}a`,
    'the length of another algorithm': `sha512:${hex}`,
    'upper case': `sha256:${hex.toUpperCase()}`,
    'an upper-case algorithm': `SHA256:${hex}`,
    'letters that are no digits': `sha256:${'g'.repeat(64)}`,
    'an algorithm that is not registered': `md5:${'a'.repeat(32)}`,
    'a name that objects inherit': `constructor:${hex}`,
    'space around it': ` sha256:${hex}`,
    'a line end': `sha256:${hex}\n`,
    'a path': `sha256:../${hex.slice(3)}`,
    'two colons': `sha256:sha256:${hex}`,
  }
  for (const [what, text] of Object.entries(bad))
    it(`are not parsed from ${what}`, async () => {
      const error = await rejectsWith(
        'invalid',
        Promise.resolve().then(() => parseDigest(text)),
      )
      assert.deepEqual({ ...error.details }, { resource: 'digest', name: text })
    })
})
