import { stopZfsDaemon, zfsDaemonRunning } from './zfs.ts'

/**
 * Daemons are shared by test files, which are processes of their own, so whoever runs them all ends what they have
 * started. Call before they run; what runs already is somebody else's and is left alone.
 */
export async function watchDaemons(): Promise<() => Promise<void>> {
  const zfsRanBefore = await zfsDaemonRunning()
  return async () => {
    if (!zfsRanBefore) await stopZfsDaemon()
  }
}
