import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeWithMounts } from '../../test/support/mounts.ts'
import { exec } from '../../test/support/process.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'

const bytes = 8 * 1024 ** 3

/**
 * Gives `work` an empty directory on a new ext4 in a file, so that nobody is slowed down by what another has left or
 * removed: an ext4 without a journal looks past each inode that was freed in the last minutes, which was measured to make
 * creating files five times as dear. Where nothing can be mounted it is a directory of the machine's own file system.
 */
export async function onScratchDisk<Result>(work: (directory: string) => Promise<Result>): Promise<Result> {
  const { path } = await temporaryDirectory()
  try {
    const directory = join(path, 'disk')
    await mkdir(directory)
    await mountNew(join(path, 'image'), directory).catch((error: unknown) => {
      console.log(`on the machine's own file system: ${String(error)}`)
    })
    // Whatever was written before is on the disk, so nobody pays for it.
    await exec('sync', [])
    return await work(directory)
  } finally {
    await removeWithMounts(path)
  }
}

async function mountNew(image: string, directory: string): Promise<void> {
  await writeFile(image, '')
  await truncate(image, bytes)
  // With all of its tables written, or the kernel would do that during the first minutes.
  const whole = 'lazy_itable_init=0,lazy_journal_init=0,nodiscard'
  await exec('mke2fs', ['-q', '-F', '-t', 'ext4', '-m', '0', '-E', whole, image])
  await exec('mount', ['-o', 'loop', image, directory])
}
