import { stopZfsDaemon } from './zfs.ts'

/** Daemons are shared by test files, which are processes of their own, so the runner is who ends them. */
export async function stopStartedDaemons(): Promise<void> {
  await stopZfsDaemon()
}
