import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  implementationOf,
  layerPropertiesFor,
  parseProperties,
} from '../../../../src/importer/chain/zfs/capabilities.ts'
import { parsePoolProperties } from '../../../../src/importer/chain/zfs/zfs-check.ts'

const linux = { platform: 'linux', hasDevice: true } as const

describe('what ZFS there is', () => {
  for (const [output, host, wanted] of [
    ['zfs-2.3.1-1~bpo12+1\nzfs-kmod-2.3.1-1~bpo12+1\n', linux, { kind: 'openzfs', version: '2.3.1' }],
    ['zfs-2.3.1-1\nzfs-kmod-2.2.7-2\n', linux, { kind: 'openzfs', version: '2.3.1', kernelVersion: '2.2.7' }],
    [
      'zfs-2.2.6-FreeBSD_g33174af15\nzfs-kmod-2.2.6-FreeBSD_g33174af15\n',
      { platform: 'freebsd', hasDevice: true },
      { kind: 'openzfs', version: '2.2.6' },
    ],
    ['zfs-0.8.3-1ubuntu12\nzfs-kmod-0.8.3-1ubuntu12\n', linux, { kind: 'openzfs', version: '0.8.3' }],
    ['', linux, { kind: 'openzfs', version: undefined }],
    ['', { platform: 'sunos', hasDevice: true }, { kind: 'illumos', version: undefined }],
    ['', { platform: 'linux', hasDevice: false }, { kind: 'zfs-fuse', version: undefined }],
  ] as const)
    it(`is told by ${JSON.stringify(output)} on ${host.platform}`, () => {
      assert.deepEqual(implementationOf(output, host), wanted)
    })

  it('decides what layers are kept with', () => {
    const known = (...names: string[]) => new Map(names.map(name => [name, 'x']))
    const openzfs = {
      implementation: { kind: 'openzfs' },
      properties: known('xattr', 'acltype', 'snapdir', 'dnodesize', 'overlay'),
    } as const
    assert.deepEqual(layerPropertiesFor(openzfs, linux), {
      xattr: 'sa',
      acltype: 'posixacl',
      snapdir: 'hidden',
      dnodesize: 'legacy',
      overlay: 'off',
    })
    assert.deepEqual(layerPropertiesFor({ ...openzfs, properties: known('xattr', 'snapdir') }, linux), {
      xattr: 'sa',
      snapdir: 'hidden',
    })
    const fuse = { implementation: { kind: 'zfs-fuse' }, properties: known('xattr', 'snapdir') } as const
    assert.deepEqual(layerPropertiesFor(fuse, linux), { snapdir: 'hidden' })
    assert.deepEqual(layerPropertiesFor(openzfs, { platform: 'freebsd' }), {
      snapdir: 'hidden',
      dnodesize: 'legacy',
      overlay: 'off',
    })
  })

  it('reads the properties of datasets and of pools', () => {
    assert.deepEqual(
      parseProperties('a\tb\nc:d\te\tf\n\n'),
      new Map([
        ['a', 'b'],
        ['c:d', 'e\tf'],
      ]),
    )
    const table =
      'NAME  PROPERTY   VALUE   SOURCE\ntank  health     ONLINE  -\ntank  feature@lz4_compress  active  local\n'
    assert.deepEqual(
      parsePoolProperties(table),
      new Map([
        ['health', 'ONLINE'],
        ['feature@lz4_compress', 'active'],
      ]),
    )
  })
})
