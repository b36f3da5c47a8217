import type { Logger } from '../../log.ts'
import type { ObjectBlobStore } from '../../storage/blobs/object-blob-store.ts'

const hourMs = 60 * 60 * 1000

/** Drops the uploads that nobody continued. A sweep that fails is tried again an hour later. */
export function sweepHourly(blobs: Pick<ObjectBlobStore, 'sweepUploads'>, log: Logger): AsyncDisposable {
  const closing = new AbortController()
  let sweeping = Promise.resolve()
  const sweep = (): void => {
    sweeping = blobs
      .sweepUploads(new Date(), { signal: closing.signal })
      .then(swept => log.info({ swept }, 'expired uploads swept'))
      .catch((error: unknown) => {
        if (!closing.signal.aborted) log.error({ error }, 'sweep of expired uploads failed')
      })
  }
  const timer = setInterval(sweep, hourMs)
  sweep()
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      closing.abort()
      await sweeping
    },
  }
}
