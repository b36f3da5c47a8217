import type { MultipartUpload, ObjectStore } from './object-store.ts'

/** Told how long each call took, failed ones too. */
export type ActionObserver = (action: ObjectStoreAction, seconds: number) => void

/** Distribution's names where it does the same thing. */
export type ObjectStoreAction =
  | 'Stat'
  | 'Reader'
  | 'PutContent'
  | 'Delete'
  | 'CreateMultipart'
  | 'ResumeMultipart'
  | 'TakeOverMultipart'
  | 'UploadPart'
  | 'Complete'
  | 'Abort'

/** The same store; every call but the listings for sweeps is timed. Of a `get`, only the time until its stream is there. */
export function observedObjectStore(
  store: ObjectStore,
  onAction: ActionObserver,
  now: () => number = performance.now.bind(performance),
): ObjectStore {
  const timed = async <Result>(action: ObjectStoreAction, call: () => Promise<Result>): Promise<Result> => {
    const startedAt = now()
    try {
      return await call()
    } finally {
      onAction(action, (now() - startedAt) / 1000)
    }
  }
  const observed = (upload: MultipartUpload): MultipartUpload => ({
    key: upload.key,
    token: upload.token,
    uploadPart: (...args) => timed('UploadPart', () => upload.uploadPart(...args)),
    complete: (...args) => timed('Complete', () => upload.complete(...args)),
    abort: (...args) => timed('Abort', () => upload.abort(...args)),
  })
  return {
    head: (...args) => timed('Stat', () => store.head(...args)),
    get: (...args) => timed('Reader', () => store.get(...args)),
    put: (...args) => timed('PutContent', () => store.put(...args)),
    delete: (...args) => timed('Delete', () => store.delete(...args)),
    list: (...args) => store.list(...args),
    createMultipart: (...args) =>
      timed('CreateMultipart', async () => observed(await store.createMultipart(...args))),
    resumeMultipart: (...args) =>
      timed('ResumeMultipart', async () => observed(await store.resumeMultipart(...args))),
    takeOverMultipart: (...args) =>
      timed('TakeOverMultipart', async () => observed(await store.takeOverMultipart(...args))),
    unfinished: (...args) => store.unfinished(...args),
    ping: (...args) => store.ping(...args),
  }
}
