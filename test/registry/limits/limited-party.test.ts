import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '../../../src/registry/auth/access-controller.ts'
import { networkOf, PartyBuckets, partyOf } from '../../../src/registry/limits/limited-party.ts'
import { parseAccountName } from '../../../src/storage/accounts/names.ts'

describe('Whose share a request is taken from', () => {
  it('is the account when it is known, else the address', () => {
    const caller: Caller = {
      tenants: [],
      account: parseAccountName('alice'),
      isAdmin: false,
      credential: undefined,
      rule: '',
      decide: () => Promise.resolve({ isAllowed: true, rule: '' }),
      mayPush: () => Promise.resolve(true),
    }
    const client = '192.0.2.1'
    assert.deepEqual(partyOf({ facts: { caller }, client }), { kind: 'account', name: 'alice' })
    const nobody = { kind: 'address', name: client }
    assert.deepEqual(partyOf({ facts: {}, client }), nobody)
    assert.deepEqual(partyOf({ facts: { caller: { ...caller, account: null } }, client }), nobody)
  })

  it('an account and an address of the same name are two', () => {
    const buckets = new PartyBuckets({ rate: { perSecond: 1, burst: 1 }, now: () => 0 })
    assert.equal(buckets.tryTake({ kind: 'account', name: 'x' }), 0)
    assert.equal(buckets.tryTake({ kind: 'address', name: 'x' }), 0)
    assert.ok(buckets.tryTake({ kind: 'account', name: 'x' }) > 0)
  })

  it('of IPv6 is the network', () => {
    for (const [address, network] of [
      ['192.0.2.1', '192.0.2.1'],
      ['', ''],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
      ['2001:db8::1', '2001:db8:0:0::/64'],
      ['2001:0db8:0000:0002::1', '2001:db8:0:2::/64'],
      ['::1', '0:0:0:0::/64'],
      ['::', '0:0:0:0::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64'],
      ['1:2:3:4::192.0.2.1', '1:2:3:4::/64'],
      ['::2:3:4:192.0.2.1', '0:0:0:2::/64'],
    ] as const)
      assert.equal(networkOf(address), network, address)
  })

  it('is the same for all addresses of one network, however they are written', () => {
    fc.assert(
      fc.property(fc.ipV6(), address => {
        const [groups = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('%')
        assert.equal(networkOf(groups), networkOf(address))
      }),
    )
  })
})
