import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addressRanges } from '../../../src/storage/address-ranges.ts'
import { mayLead, type Nearness, nearnessOf, nearnessOfHost } from '../../../src/storage/remote/nearness.ts'

describe('How near an address is', () => {
  const cases: Readonly<Record<Nearness, readonly string[]>> = {
    public: ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '2002:808:808::1'],
    private: [
      ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '198.19.0.1', '224.0.0.1'],
      ...['255.255.255.255', 'fd00::1', 'fc00:ec2::254', 'ff02::1', '::ffff:10.0.0.1', '::ffff:c0a8:101'],
      ...['64:ff9b::10.0.0.1', '64:ff9b:1::1', '2002:a00:1::1', '::10.0.0.1'],
    ],
    'link-local': [
      '169.254.169.254',
      'fe80::1',
      'fe80::1%eth0',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
    ],
    loopback: [
      ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1'],
      ...['0:0:0:0:0:0:0:1', '0:0:0:0:0:ffff:7f00:0001', '64:ff9b::7f00:1', '2002:7f00:1::'],
    ],
  }
  for (const [nearness, addresses] of Object.entries(cases))
    for (const address of addresses)
      it(`of ${address} is ${nearness}`, () => assert.equal(nearnessOf(address), nearness))

  for (const [host, nearness] of [
    ['[::1]', 'loopback'],
    ['localhost', 'loopback'],
    ['LOCALHOST.', 'loopback'],
    ['a.localhost', 'loopback'],
    ['10.1.2.3', 'private'],
    ['localhost.example', undefined],
    ['registry.example', undefined],
  ] as const)
    it(`of ${host} by its name is ${nearness ?? 'not known'}`, () =>
      assert.equal(nearnessOfHost(host), nearness))

  const listed = addressRanges(['10.9.0.0/16', '169.254.7.7'])
  for (const [from, to, may] of [
    ['public', '8.8.8.8', true],
    ['public', '10.0.0.1', false],
    ['public', '10.9.0.1', true],
    ['public', '::ffff:10.9.0.1', true],
    ['public', '::ffff:10.0.0.1', false],
    ['public', '169.254.7.7', true],
    ['private', '10.0.0.1', true],
    ['private', '127.0.0.1', false],
    ['private', '169.254.169.254', false],
    ['loopback', '127.0.0.1', true],
    ['loopback', '10.0.0.1', true],
    ['loopback', '169.254.169.254', false],
    ['link-local', '169.254.169.254', true],
    ['link-local', '127.0.0.1', false],
  ] as const)
    it(`lets what is ${from} ${may ? '' : 'not '}lead to ${to}`, () =>
      assert.equal(mayLead(from, to, listed), may))
})
