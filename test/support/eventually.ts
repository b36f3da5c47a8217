import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until it is so, for what takes longer by its nature. @throws Error after so many seconds. */
export async function eventuallyWithin(
  seconds: number,
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = Date.now() + seconds * 1000
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error(`it never came: ${what}`)
    await sleep(50)
  }
}
