import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { cloneRequestOf, differenceOf } from '../../../../src/importer/chain/zfs/clone-options.ts'
import { listingArgs, parseListing } from '../../../../src/importer/chain/zfs/properties.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'

const web = parseCloneName('web')

describe('options of a clone', () => {
  for (const [property, value, canonical] of [
    ['quota', '10G', '10737418240'],
    ['quota', 'none', '0'],
    ['quota', '1024', '1024'],
    ['refquota', '512MiB', '536870912'],
    ['reservation', '1m', '1048576'],
    ['refreservation', '0', '0'],
    ['compression', 'gzip-6', 'gzip'],
    ['compression', 'zstd-19', 'zstd-19'],
    ['compression', 'lz4', 'lz4'],
    ['recordsize', '16K', '16384'],
    ['atime', 'off', 'off'],
    ['readonly', 'on', 'on'],
    ['exec', 'off', 'off'],
    ['setuid', 'off', 'off'],
    ['snapdir', 'hidden', 'hidden'],
    ['logbias', 'throughput', 'throughput'],
    ['sync', 'always', 'always'],
    ['com.example:owner', 'Ä = 1', 'Ä = 1'],
  ] as const)
    it(`takes ${property}=${value}`, () => {
      assert.deepEqual(cloneRequestOf(web, { properties: { [property]: value } }).properties, {
        [property]: canonical,
      })
    })

  for (const [property, value] of [
    ['devices', 'on'],
    ['devices', 'off'],
    ['zoned', 'on'],
    ['canmount', 'off'],
    ['mountpoint', '/mnt'],
    ['sharenfs', 'on'],
    ['varve:role', 'lineage'],
    ['varve:chain-id', 'x'],
    ['__proto__', 'x'],
    ['toString', 'x'],
    ['QUOTA', '1G'],
    ['quota', '-1'],
    ['quota', '1.5G'],
    ['quota', ''],
    ['quota', '99999999P'],
    ['recordsize', '3K'],
    ['recordsize', '32M'],
    ['compression', 'gzip-10'],
    ['snapdir', 'visible'],
    ['atime', 'yes'],
    ['com.example:owner', 'a\nb'],
    ['com.example:owner', ''],
    ['com.example:owner', '-'],
    ['com.example:owner', 'x'.repeat(1024)],
    ['com.example:Owner', 'x'],
  ] as const)
    it(`refuses ${property}=${value.slice(0, 12)}`, () => {
      const properties = Object.fromEntries([[property, value]])
      assert.throws(() => cloneRequestOf(web, { properties }), failsWith('invalid'))
    })

  it('names what can be given when it refuses a property', () => {
    assert.throws(() => cloneRequestOf(web, { properties: { sharesmb: 'on' } }), /quota, refquota.*readonly/)
  })

  it('takes the quota from one place', () => {
    assert.deepEqual(cloneRequestOf(web, { quota: 1024 }).properties, { quota: '1024' })
    const twice = { quota: 1024, properties: { quota: '1K' } }
    assert.throws(() => cloneRequestOf(web, twice), failsWith('invalid'))
  })

  it('tells what a clone has that was asked for otherwise', () => {
    const lines = ['quota\t1024\tlocal', 'mountpoint\t/a\tlocal', 'a:b\tc\tlocal']
    const [listed] = parseListing(lines.map(line => `tank/web\t${line}`).join('\n'))
    assert.ok(listed, listingArgs([]).join(' '))
    const of = (options: Parameters<typeof cloneRequestOf>[1]) =>
      differenceOf(cloneRequestOf(web, options), listed)
    assert.equal(of({}), undefined)
    assert.equal(of({ quota: 1024, mountpoint: '/a', properties: { 'a:b': 'c' } }), undefined)
    assert.equal(of({ quota: 1025 }), 'quota=1024, not 1025')
    assert.equal(of({ mountpoint: '/b' }), 'mountpoint=/a, not /b')
    assert.equal(of({ properties: { 'a:d': 'c' } }), 'a:d=none, not c')
  })
})
