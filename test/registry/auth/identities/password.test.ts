import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compareSync, hashSync } from 'bcryptjs'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import { comparisonsOf } from '../../../../src/registry/auth/identities/bcrypt-work.ts'
import {
  bcryptCostOf,
  checkNewPassword,
  dummyHash,
  saltOf,
  settingOf,
} from '../../../../src/registry/auth/identities/password.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'

const alice = parseAccountName('alice')

describe('New passwords', () => {
  for (const [what, password, why] of [
    ['seven characters', 'seven77', /8 characters/],
    ['seven characters of two units each', '😀'.repeat(7), /8 characters/],
    ['73 bytes', 'x'.repeat(73), /72 bytes/],
    ['73 bytes in fewer characters', `${'é'.repeat(36)}x`, /72 bytes/],
    ['a NUL', 'pass\0word', /control/],
    ['a line end', 'password\n', /control/],
    ['the form of a token', 'vrv_password', /API token/],
  ] as const)
    it(`with ${what} are refused, and not repeated`, () => {
      assert.throws(
        () => checkNewPassword(password, alice),
        error => {
          assert.ok(isDomainError(error, 'invalid'))
          assert.match(error.message, why)
          assert.ok(!error.message.includes(password))
          return true
        },
      )
    })

  it("that are the account's own name are refused", () => {
    for (const [account, password] of [
      ['alexander', 'Alexander'],
      ['acme+deployer', 'deployer'],
      ['acme+deployer', 'acme+deployer'],
    ] as const)
      assert.throws(() => checkNewPassword(password, parseAccountName(account)), /account's name/)
  })

  it('of 8 characters and of 72 bytes are taken', () => {
    for (const password of ['12345678', 'x'.repeat(72), 'é'.repeat(36), 'correct horse battery'])
      checkNewPassword(password, alice)
  })
})

describe('Hashes of bcrypt', () => {
  it('say their cost; nothing else does, and none that would take minutes', () => {
    for (const [prefix, cost] of [
      ['$2a$04$', 4],
      ['$2b$12$', 12],
      ['$2y$05$', 5],
      ['$2b$16$', 16],
      ['$2b$17$', undefined],
      ['$2b$31$', undefined],
      ['$2b$03$', undefined],
      ['$2x$05$', undefined],
      ['$2$05$', undefined],
      ['$apr1$05$', undefined],
    ] as const)
      assert.equal(bcryptCostOf(prefix + 'a'.repeat(53)), cost, prefix)
    for (const hash of [
      '',
      '*',
      `$2b$12$${'a'.repeat(52)}`,
      `$2b$12$${'a'.repeat(54)}`,
      `$2b$12$${'!'.repeat(53)}`,
    ])
      assert.equal(bcryptCostOf(hash), undefined)
  })

  it('of nobody look like others and fit no password', () => {
    const seen = new Set<string>()
    for (let count = 0; count < 50; count += 1) {
      const hash = dummyHash(4)
      assert.equal(bcryptCostOf(hash), 4)
      assert.ok(!compareSync('', hash))
      seen.add(hash)
    }
    assert.equal(seen.size, 50)
  })

  it('can be made anew with more work and the same salt', () => {
    const hash = hashSync('correct horse', 4)
    const raised = hashSync('correct horse', settingOf(hash, 5))
    assert.equal(bcryptCostOf(raised), 5)
    assert.equal(saltOf(raised), saltOf(hash))
    assert.ok(compareSync('correct horse', raised))
  })

  it('are compared with as much work for what is wrong, whoever is meant', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 16 }), fc.integer({ min: 4, max: 16 }), (own, cost) => {
        const works = (hash: string | null, password = 'wrong'): number =>
          comparisonsOf(password, hash, cost).reduce(
            (work, comparison) => work + 2 ** (bcryptCostOf(comparison.hash) ?? Number.NaN),
            0,
          )
        assert.equal(works(null), 2 ** cost)
        assert.equal(works(dummyHash(own)), 2 ** Math.max(own, cost))
        assert.equal(works(dummyHash(own), 'x'.repeat(73)), 2 ** cost)
        assert.equal(works('no hash'), 2 ** cost)
      }),
    )
  })

  it('are real at most once, and never for a password that bcrypt would cut', () => {
    const hash = dummyHash(4)
    const real = (password: string, known: string | null): string[] =>
      comparisonsOf(password, known, 6)
        .filter(({ isReal }) => isReal)
        .map(comparison => comparison.hash)
    assert.deepEqual(real('password', hash), [hash])
    assert.deepEqual(real('x'.repeat(72), hash), [hash])
    assert.deepEqual(real('x'.repeat(73), hash), [])
    assert.deepEqual(real('password', null), [])
  })
})
