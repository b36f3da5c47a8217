import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import {
  checkMountpoint,
  isMountPoint,
  requireFree,
} from '../../../../src/importer/chain/zfs/clone-mountpoint.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const web = parseCloneName('web')
const own = ['/tank/varve', '/srv/clones']

describe('where a clone may be mounted', () => {
  for (const path of ['/zones/web', '/tank/varve2', '/tank/other', '/srv/clone', '/a b/ü'])
    it(`takes ${path}`, () => checkMountpoint(web, path, own))

  for (const path of [
    '',
    'zones/web',
    '/zones/web/',
    '/zones/../web',
    '/zones/./web',
    '/zones//web',
    '/',
    '/tank',
    '/tank/varve',
    '/tank/varve/clones/other',
    '/srv',
    '/srv/clones/x',
    '/a\nb',
    '/a\0b',
    `/${'x'.repeat(1023)}`,
    'none',
    'legacy',
  ])
    it(`refuses ${JSON.stringify(path.slice(0, 30))}`, () => {
      assert.throws(() => checkMountpoint(web, path, own), failsWith('invalid'))
    })

  it('takes a directory that is empty or not there, and no link, file or full directory', async () => {
    const directory = await temporaryDirectory()
    const at = (path: string) => join(directory.path, path)
    try {
      await mkdir(at('empty'))
      await mkdir(at('full/x'), { recursive: true })
      await writeFile(at('file'), '')
      await symlink(at('empty'), at('link'))
      await symlink(at('nowhere'), at('broken'))
      for (const path of ['empty', 'absent', 'absent/below', 'empty/below']) await requireFree(web, at(path))
      for (const path of ['full', 'link', 'link/below', 'broken', 'broken/below', 'file', 'file/below'])
        await assert.rejects(requireFree(web, at(path)), failsWith('conflict'), path)
    } finally {
      await directory.remove()
    }
  })

  it('sees where a file system begins', async () => {
    assert.equal(await isMountPoint('/proc'), true)
    assert.equal(await isMountPoint('/proc/self'), false)
    assert.equal(await isMountPoint('/usr/bin'), false)
    assert.equal(await isMountPoint('/there/is/no/such/place'), false)
  })
})
