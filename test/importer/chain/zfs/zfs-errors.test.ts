import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { convertZfsFailure, isTransient } from '../../../../src/importer/chain/zfs/zfs-errors.ts'

const subject = { resource: 'clone', name: 'web' } as const

/** Sentences of OpenZFS, illumos and zfs-fuse, and what they mean to a caller. */
const sentences = [
  ["cannot open 'tank/x': dataset does not exist", 'not_found', 'clone'],
  ["cannot create 'tank/a/b': parent does not exist", 'not_found', 'clone'],
  ["cannot create 'tank/x': dataset already exists", 'already_exists', 'clone'],
  ["cannot create 'nopool/x': no such pool 'nopool'", 'not_found', 'pool'],
  ["cannot destroy 'tank/x': dataset is busy", 'busy', 'clone'],
  ["cannot unmount '/tank/x': pool or dataset is busy", 'busy', 'clone'],
  [
    "umount: /tank/x: target is busy.\ncannot unmount '/tank/x': umount failed: umount child process failed",
    'busy',
    'clone',
  ],
  ["cannot create 'tank/x': out of space", 'no_space', 'pool'],
  ["cannot create 'tank/x': permission denied", 'denied', 'pool'],
  ['connect: Permission denied\ninternal error: failed to initialize ZFS library', 'denied', 'pool'],
  ['Permission denied the ZFS utilities must be run as root.', 'denied', 'pool'],
  [
    "The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.",
    'unavailable',
    'pool',
  ],
  [
    'connect: No such file or directory\nPlease make sure that the zfs-fuse daemon is running.',
    'unavailable',
    'pool',
  ],
  ["cannot mount 'tank/x': filesystem already mounted", 'already_exists', 'clone'],
  ["cannot unmount 'tank/x': not currently mounted", 'not_found', 'clone'],
  [
    "cannot destroy 'tank/x@y': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/busy",
    'conflict',
    'clone',
  ],
  ["cannot destroy 'tank/x': filesystem has children", 'conflict', 'clone'],
  [
    "cannot rollback to 'tank/x@y': more recent snapshots or bookmarks exist\nuse '-r' to force",
    'conflict',
    'clone',
  ],
  ["cannot mount '/tank/x': directory is not empty", 'conflict', 'clone'],
  [
    "cannot destroy snapshot tank/x@y: it's being held. Run 'zfs holds -r tank/x@y' to see holders.",
    'conflict',
    'clone',
  ],
  ["cannot set property for 'tank/x': size is less than current used or reserved space", 'invalid', 'clone'],
  ["cannot set property for 'tank/x': property value too long", 'invalid', 'clone'],
  ["cannot set property for 'tank/x': bad numeric value 'x'", 'invalid', 'clone'],
  ["cannot rollback 'tank/x': I/O error", 'unavailable', 'clone'],
  ['something that nobody has seen before', 'unavailable', 'clone'],
  ['', 'unavailable', 'clone'],
] as const

describe('failures of zfs', () => {
  for (const [stderr, code, resource] of sentences)
    it(`${JSON.stringify(stderr.slice(0, 60))} is ${code}`, () => {
      const cause = Object.assign(new Error('Command failed'), { stderr })
      const error = convertZfsFailure(subject, { args: ['destroy', 'tank/x'], cause })
      assert.equal(error.code, code)
      assert.deepEqual(error.details, { resource, name: 'web' })
      assert.equal(error.cause, cause)
      assert.match(error.message, /web.*\.$/)
      assert.equal(isTransient(error), code === 'busy' || stderr.endsWith('I/O error'))
    })

  it('names the package when the program is absent', () => {
    const cause = Object.assign(new Error('spawn zfs ENOENT'), { code: 'ENOENT' })
    const error = convertZfsFailure(subject, { args: ['get'], cause })
    assert.equal(error.code, 'unavailable')
    assert.match(error.message, /zfsutils-linux/)
  })
})
