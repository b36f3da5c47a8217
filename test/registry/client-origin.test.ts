import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../src/errors.ts'
import { addressRanges } from '../../src/storage/address-ranges.ts'
import { clientOrigin } from '../../src/registry/client-origin.ts'

const trusted = addressRanges(['10.0.0.0/8', '192.0.2.7', 'fd00::/8'])
const of = (headers: Record<string, string>, peer = '10.0.0.1', scheme: 'http' | 'https' = 'http') =>
  clientOrigin(headers, { peer, scheme }, trusted)

const proxy = fc.ipV4().map(address => address.replace(/^\d+/, '10'))
const stranger = fc.ipV4().filter(address => !trusted.includes(address))
const forwardedHeaders = fc.record(
  {
    'x-forwarded-for': fc.oneof(
      fc.string(),
      fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())).map(String),
    ),
    'x-forwarded-proto': fc.constantFrom('http', 'https', 'https,http', 'javascript'),
    forwarded: fc.oneof(
      fc.string(),
      fc.ipV4().map(address => `for=${address};proto=https`),
    ),
  },
  { requiredKeys: [] },
)

describe('The origin of a request', () => {
  it('is the peer, whatever the headers say, unless the peer is trusted', () => {
    fc.assert(
      fc.property(stranger, forwardedHeaders, (peer, headers) => {
        for (const scheme of ['http', 'https'] as const) {
          const direct = { address: peer, scheme, isDirect: true }
          assert.deepEqual(of(headers, peer, scheme), direct)
          assert.deepEqual(of(headers, `::ffff:${peer}`, scheme), direct)
        }
      }),
    )
  })

  it('is what the first trusted proxy saw, whatever the client put in front', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        stranger,
        fc.array(proxy),
        proxy,
        (invented, client, proxies, peer) => {
          const chain = [...invented, client, ...proxies].join(', ')
          assert.equal(of({ 'x-forwarded-for': chain }, peer).address, client)
          const elements = [client, ...proxies].map(address => `for=${address};proto=https`)
          assert.deepEqual(of({ forwarded: elements.join(',') }, peer), {
            address: client,
            scheme: 'https',
            isDirect: false,
          })
        },
      ),
    )
  })

  it('is always an address that was in the headers, or the peer', () => {
    fc.assert(
      fc.property(proxy, forwardedHeaders, (peer, headers) => {
        const { address } = of(headers, peer)
        assert.ok(address === peer || Object.values(headers).some(value => value.includes(address)))
      }),
    )
  })

  for (const [what, headers, expected] of [
    ['an address with a port', { 'x-forwarded-for': '198.51.100.4:4711' }, ['198.51.100.4', 'http']],
    ['IPv6 in brackets', { 'x-forwarded-for': '[2001:db8::1]:80' }, ['2001:db8::1', 'http']],
    ['quoted IPv6', { forwarded: 'For="[2001:db8::1]:80";Proto=HTTPS' }, ['2001:db8::1', 'https']],
    [
      'the scheme',
      { 'x-forwarded-for': '198.51.100.4', 'x-forwarded-proto': 'https' },
      ['198.51.100.4', 'https'],
    ],
    [
      'one scheme for a chain',
      { 'x-forwarded-for': '198.51.100.4, 10.1.1.1', 'x-forwarded-proto': 'https' },
      ['198.51.100.4', 'https'],
    ],
    ['an IPv4 address in IPv6', { 'x-forwarded-for': '::ffff:198.51.100.4' }, ['198.51.100.4', 'http']],
    ['nobody for garbage', { 'x-forwarded-for': 'unknown' }, ['10.0.0.1', 'http']],
    ['nobody before garbage', { 'x-forwarded-for': '198.51.100.4, _hidden, 10.1.1.1' }, ['10.1.1.1', 'http']],
    [
      'both headers that agree',
      { 'x-forwarded-for': '198.51.100.4', forwarded: 'for=198.51.100.4' },
      ['198.51.100.4', 'http'],
    ],
    [
      'neither header when they disagree',
      { 'x-forwarded-for': '198.51.100.4', forwarded: 'for=203.0.113.9' },
      ['10.0.0.1', 'http'],
    ],
  ] as const)
    it(`reads ${what}`, () => {
      const { address, scheme } = of(headers)
      assert.deepEqual([address, scheme], expected)
    })

  it('has the scheme of the connection, where its proxy says nothing of it', () => {
    assert.equal(of({ 'x-forwarded-for': '198.51.100.4' }, '10.0.0.1', 'https').scheme, 'https')
    const told = { 'x-forwarded-for': '198.51.100.4', 'x-forwarded-proto': 'http' }
    assert.equal(of(told, '10.0.0.1', 'https').scheme, 'http')
  })

  it('refuses what is no range of addresses, by name', () => {
    for (const cidr of ['10.0.0.0/33', 'fd00::/129', 'proxy', '10.0.0/8', '', '10.0.0.0/-1'])
      assert.throws(
        () => addressRanges([cidr]),
        error => isDomainError(error, 'invalid'),
        cidr,
      )
  })

  it('knows no trusted proxy unless told', () => {
    assert.equal(addressRanges([]).includes('127.0.0.1'), false)
    assert.equal(addressRanges(['::1']).includes('::1'), true)
    assert.equal(addressRanges(['127.0.0.1']).includes('not an address'), false)
  })
})
