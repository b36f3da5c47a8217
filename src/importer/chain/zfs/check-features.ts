import { layerPropertiesFor } from './capabilities.ts'
import type { Examined, Finding } from './check-findings.ts'

/** What one ZFS has and another has not. */
export function features({ capabilities, host, pool, usage }: Examined): Finding[] {
  const layers = layerPropertiesFor(capabilities, host)
  const has = (pattern: RegExp): boolean => pattern.test(usage)
  const feature = (name: string): boolean => ['active', 'enabled'].includes(pool.get(`feature@${name}`) ?? '')
  const either = (name: string, isThere: boolean, withIt: string, without: string): Finding => ({
    name,
    found: isThere ? 'yes' : 'no',
    result: isThere ? 'ok' : 'note',
    consequence: isThere ? withIt : without,
  })
  return [
    either(
      'holds',
      has(/^\s*hold\b/m),
      'every link of a chain is held as varve',
      'an operator can destroy a chain',
    ),
    either(
      'xattr=sa',
      layers['xattr'] === 'sa',
      'layers keep extended attributes in inodes',
      'extended attributes as the file system has them',
    ),
    either(
      'acltype=posix',
      layers['acltype'] !== undefined,
      'layers keep POSIX ACLs',
      'ACLs of layers as the file system has them',
    ),
    either('lz4', feature('lz4_compress'), 'compression=on is lz4', 'compression=on is lzjb'),
    either('channel programs', has(/^\s*program\b/m), 'not needed', 'not needed'),
    either(
      'zfs list -p',
      has(/^\s*list \[-[a-zA-Z]*p/m),
      'not needed: zfs get -p is',
      'zfs get -p is used everywhere',
    ),
    either('zfs receive -x', has(/receive[^\n]*(?:\n\t {4,}[^\n]*)*-x/), 'not needed', 'not needed'),
    either(
      'zfs rename -u',
      has(/rename[^\n]*-[a-z]*u/),
      'not needed: lineages are unmounted first',
      'lineages are unmounted first',
    ),
  ]
}
