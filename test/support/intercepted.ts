import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { MultipartUpload, ObjectStore } from '../../src/storage/objects/object-store.ts'

/** Stands around every call of a store: decides whether and when `call` happens. */
export type Around = <Result>(method: string, call: () => Promise<Result>) => Promise<Result>

/** The same object store, with something around each call to it and to its multipart uploads. */
export function interceptObjects(store: ObjectStore, around: Around): ObjectStore {
  const wrap = (upload: MultipartUpload): MultipartUpload => ({
    key: upload.key,
    token: upload.token,
    uploadPart: (...args) => around('uploadPart', () => upload.uploadPart(...args)),
    complete: (...args) => around('complete', () => upload.complete(...args)),
    abort: (...args) => around('abort', () => upload.abort(...args)),
  })
  return {
    head: (...args) => around('head', () => store.head(...args)),
    get: (...args) => around('get', () => store.get(...args)),
    put: (...args) => around('put', () => store.put(...args)),
    delete: (...args) => around('delete', () => store.delete(...args)),
    list: (...args) => store.list(...args),
    createMultipart: (...args) =>
      around('createMultipart', async () => wrap(await store.createMultipart(...args))),
    resumeMultipart: (...args) =>
      around('resumeMultipart', async () => wrap(await store.resumeMultipart(...args))),
    takeOverMultipart: (...args) =>
      around('takeOverMultipart', async () => wrap(await store.takeOverMultipart(...args))),
    unfinished: (...args) => store.unfinished(...args),
    ping: (...args) => store.ping(...args),
  }
}

/** The same metadata, with something around each call. */
export function interceptMetadata(metadata: Metadata, around: Around): Metadata {
  return new Proxy(metadata, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function' || typeof name === 'symbol') return value
      return (...args: unknown[]) =>
        around(name, async (): Promise<unknown> => Reflect.apply(value, target, args))
    },
  })
}
