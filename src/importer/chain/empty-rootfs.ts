import { chmod, mkdir, utimes } from 'node:fs/promises'
import { onDisk } from './fs-errors.ts'

/**
 * Makes the directory that the first layer is applied to. Images leave its attributes open (image-spec
 * manifest.md, "layers"), so they are fixed here: the same image gives the same tree.
 */
export async function makeEmptyRootfs(rootfs: string): Promise<void> {
  await onDisk(rootfs, async () => {
    await mkdir(rootfs)
    await chmod(rootfs, 0o755)
    await utimes(rootfs, 0, 0)
  })
}
