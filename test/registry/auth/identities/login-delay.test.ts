import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import { addressGroup } from '../../../../src/registry/auth/identities/address-group.ts'
import {
  afterFailure,
  type DelayPolicy,
  delayMs,
  type Failures,
  waitMs,
} from '../../../../src/registry/auth/identities/failures.ts'
import { LoginDelay } from '../../../../src/registry/auth/identities/login-delay.ts'

const policies = fc.record({
  free: fc.integer({ min: 1, max: 100 }),
  firstMs: fc.integer({ min: 1, max: 10_000 }),
  maxMs: fc.integer({ min: 1, max: 1_000_000 }),
})

describe('The delay after wrong passwords', () => {
  it('is none at first, then doubles, and has an end', () => {
    fc.assert(
      fc.property(policies, fc.nat(5000), (policy, count) => {
        const delay = delayMs(count, policy)
        if (count < policy.free) assert.equal(delay, 0)
        else if (count === policy.free) assert.equal(delay, Math.min(policy.firstMs, policy.maxMs))
        else if (count - policy.free <= 31)
          assert.equal(delay, Math.min(2 * delayMs(count - 1, policy), policy.maxMs))
        assert.ok(delay >= 0 && delay <= Math.max(policy.maxMs, 0))
        assert.ok(delayMs(count + 1, policy) >= delay)
      }),
    )
  })

  it('is over when it was waited for, however wrong passwords came', () => {
    fc.assert(
      fc.property(policies, fc.array(fc.nat(100_000), { maxLength: 60 }), (policy, pauses) => {
        let now = 0
        let failures: Failures | undefined
        for (const pause of pauses) {
          now += pause
          const wait = waitMs(failures, now, policy)
          assert.ok(wait >= 0 && wait <= policy.maxMs)
          now += wait
          assert.equal(waitMs(failures, now, policy), 0)
          failures = afterFailure(failures, now, policy)
        }
      }),
    )
  })

  it('lets so many guesses through in a time, and hardly more, however they are spread', () => {
    const policy: DelayPolicy = { free: 5, firstMs: 1_000, maxMs: 900_000 }
    const day = 24 * 60 * 60 * 1000
    let guesses = 0
    let failures: Failures | undefined
    for (let now = 0; now < day; guesses += 1) {
      failures = afterFailure(failures, now, policy)
      now += Math.max(waitMs(failures, now, policy), 1)
    }
    assert.ok(guesses < 120, String(guesses))
  })

  it('is forgotten after a while', () => {
    const policy: DelayPolicy = { free: 2, firstMs: 10, maxMs: 100 }
    const failures: Failures = { count: 4, lastAt: 0 }
    assert.equal(afterFailure(failures, 40 + 99, policy).count, 5)
    assert.equal(afterFailure(failures, 40 + 100, policy).count, 1)
  })
})

describe('Addresses', () => {
  for (const [address, group] of [
    ['192.0.2.1', '192.0.2.1'],
    ['', ''],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
  ] as const)
    it(`such as ${address || 'none'} count as ${group || 'none'}`, () =>
      assert.equal(addressGroup(address), group))

  it('of one network of IPv6 are one, in whichever way they are written', () => {
    const part = fc.nat(0xffff).map(value => value.toString(16))
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 4, maxLength: 4 }),
        fc.array(part, { minLength: 4, maxLength: 4 }),
        (net, host) => {
          assert.equal(addressGroup([...net, ...host].join(':')), `${net.join(':')}::/64`)
          assert.equal(addressGroup(`${net.join(':')}::${host[3]}`), `${net.join(':')}::/64`)
        },
      ),
    )
  })
})

describe('LoginDelay', () => {
  const clock = { now: 0 }
  const delayOf = (capacity?: number): LoginDelay => {
    clock.now = 0
    return new LoginDelay({ maxFailures: 3, maxDelayMs: 60_000, now: () => clock.now, capacity })
  }
  const fail = (delay: LoginDelay, name: string, address: string): void => delay.begin(name, address).failed()
  /** Seconds that one is told to wait; undefined when the login is looked at. */
  const refusal = (delay: LoginDelay, name: string, address: string): number | undefined => {
    try {
      delay.begin(name, address).abandoned()
      return undefined
    } catch (error) {
      assert.ok(isDomainError(error, 'throttled'))
      assert.equal(error.details.claimed, name)
      return error.details.retryAfterSeconds
    }
  }

  it('looks at a few wrong passwords at once, then at one after each wait', () => {
    const delay = delayOf()
    for (let count = 0; count < 3; count += 1) fail(delay, 'alice', '192.0.2.1')
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    clock.now += 999
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    clock.now += 1
    fail(delay, 'alice', '192.0.2.1')
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 2)
    clock.now += 2_000
    fail(delay, 'alice', '192.0.2.1')
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 4)
  })

  it('does not wait longer because somebody came too early', () => {
    const delay = delayOf()
    for (let count = 0; count < 3; count += 1) fail(delay, 'alice', '192.0.2.1')
    for (let count = 0; count < 100; count += 1) assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    clock.now += 1_000
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), undefined)
  })

  it('holds up nobody at other addresses, and no other account at this one', () => {
    const delay = delayOf()
    for (let count = 0; count < 3; count += 1) fail(delay, 'alice', '192.0.2.1')
    assert.equal(refusal(delay, 'alice', '192.0.2.2'), undefined)
    assert.equal(refusal(delay, 'alice', '2001:db8::1'), undefined)
    assert.equal(refusal(delay, 'bob', '192.0.2.1'), undefined)
  })

  it('holds up an address that tries many accounts, and a network of IPv6 as one', () => {
    for (const address of [() => '192.0.2.1', (n: number) => `2001:db8::${n.toString(16)}`]) {
      const delay = delayOf()
      for (let count = 0; count < 30; count += 1) fail(delay, `user${count}`, address(count))
      assert.equal(refusal(delay, 'alice', address(99)), 1)
      assert.equal(refusal(delay, 'alice', '198.51.100.1'), undefined)
    }
  })

  it('forgives an account by a right password, but not the address', () => {
    const delay = delayOf()
    for (let round = 0; round < 15; round += 1) {
      for (let count = 0; count < 2; count += 1) fail(delay, 'alice', '192.0.2.1')
      // Some 30 are left to the address after that.
      if (round < 14) delay.begin('alice', '192.0.2.1').succeeded()
    }
    assert.equal(refusal(delay, 'mallory', '192.0.2.1'), 1)
  })

  it('lets no more guesses through that come all at once', () => {
    const delay = delayOf()
    const attempts = Array.from({ length: 3 }, () => delay.begin('alice', '192.0.2.1'))
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    for (const attempt of attempts) attempt.abandoned()
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), undefined)
    const others = Array.from({ length: 16 }, (_, index) => delay.begin(`user${index}`, '192.0.2.1'))
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    for (const attempt of others) attempt.succeeded()
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), undefined)
  })

  it('lets one through after a wait, and not two at once', () => {
    const delay = delayOf()
    for (let count = 0; count < 4; count += 1) {
      clock.now += 10_000
      fail(delay, 'alice', '192.0.2.1')
    }
    clock.now += 8_000
    const attempt = delay.begin('alice', '192.0.2.1')
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), 1)
    attempt.failed()
  })

  it('remembers so many and no more', () => {
    const delay = delayOf(10)
    for (let count = 0; count < 3; count += 1) fail(delay, 'alice', '192.0.2.1')
    for (let count = 0; count < 10; count += 1) fail(delay, 'bob', `198.51.100.${count}`)
    assert.equal(refusal(delay, 'alice', '192.0.2.1'), undefined)
  })

  it('does not repeat a name that is no account', () => {
    const delay = delayOf()
    for (let count = 0; count < 3; count += 1) fail(delay, 'My Password!', '192.0.2.1')
    assert.throws(
      () => delay.begin('My Password!', '192.0.2.1'),
      error => {
        assert.ok(isDomainError(error, 'throttled'))
        assert.ok(!JSON.stringify([error.message, error.details]).includes('My Password!'))
        return true
      },
    )
  })
})
