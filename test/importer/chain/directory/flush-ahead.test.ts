import { randomBytes } from 'node:crypto'
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FlushAhead } from '../../../../src/importer/chain/directory/flush-ahead.ts'
import { eventuallyWithin } from '../../../support/eventually.ts'
import { removeWithMounts } from '../../../support/mounts.ts'
import { exec } from '../../../support/process.ts'
import { ensurePrograms } from '../../../support/programs.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const mebibyte = 1024 * 1024
const bytesPerSector = 512

describe('What is written to a chain that is being made', () => {
  it('goes to the disk meanwhile, and no more when it is made', async context => {
    await ensurePrograms('mke2fs')
    const { path } = await temporaryDirectory()
    try {
      const [image, disk] = [join(path, 'image'), join(path, 'disk')]
      await mkdir(disk)
      await writeFile(image, '')
      await truncate(image, 128 * mebibyte)
      await exec('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
      try {
        await exec('mount', ['-o', 'loop', image, disk])
      } catch (error) {
        context.skip(`needs the right to mount: ${String(error)}`)
        return
      }
      const device = basename((await exec('findmnt', ['--noheadings', '--output', 'SOURCE', disk])).trim())
      /** The seventh number of the kernel's Documentation/block/stat.rst. */
      const written = async (): Promise<number> => {
        const numbers = (await readFile(`/sys/block/${device}/stat`, 'utf8')).trim().split(/\s+/)
        return Number(numbers[6]) * bytesPerSector
      }
      const before = await written()
      const flushing = new FlushAhead(disk)
      await writeFile(join(disk, 'one'), randomBytes(16 * mebibyte))
      // By itself the kernel begins after half a minute.
      await eventuallyWithin(15, 'the first file', async () => (await written()) - before > 15 * mebibyte)
      flushing[Symbol.dispose]()
      await sleep(200)
      // Whoever else calls sync(2) on this machine flushes this disk, too, but not each time.
      await eventuallyWithin(100, 'a file that stays in memory', async () => {
        const then = await written()
        // A new one each time: ext4 flushes what was truncated (ext4(5), auto_da_alloc).
        await writeFile(join(disk, String(Date.now())), randomBytes(mebibyte))
        await sleep(1500)
        return (await written()) - then < mebibyte / 2
      })
    } finally {
      await removeWithMounts(path)
    }
  })
})
