import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { errnoOf } from '../../src/errors.ts'
import { exec } from './process.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const MiB = 1024 * 1024

export interface Filler extends AsyncDisposable {
  remove(): Promise<void>
}

/** Takes all space that is left on a disk, to the last byte. */
export async function fillDisk(disk: string): Promise<Filler> {
  const path = join(disk, 'filler')
  const file = await open(path, 'w')
  try {
    for (const size of [MiB, 4096]) await writeUntilFull(() => file.write(Buffer.alloc(size)))
  } finally {
    await file.close()
  }
  const remove = () => rm(path, { force: true })
  return { remove, [Symbol.asyncDispose]: remove }
}

async function writeUntilFull(write: () => Promise<unknown>): Promise<void> {
  for (;;)
    try {
      await write()
    } catch (error) {
      if (errnoOf(error) === 'ENOSPC') return
      throw error
    }
}

/** Gives the test a disk of so many MiB, in a directory that every user may pass. Skips it without the right to mount. */
export async function onSmallDisk(
  context: TestContext,
  sizeMiB: number,
  test: (disk: string) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory()
  await exec('chmod', ['755', directory.path])
  const disk = join(directory.path, 'disk')
  await mkdir(disk)
  try {
    await exec('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'varve-test', disk])
  } catch (error) {
    context.skip(`needs the right to mount a tmpfs: ${String(error)}`)
    return
  }
  try {
    await test(disk)
  } finally {
    await exec('umount', ['--lazy', disk])
  }
}
