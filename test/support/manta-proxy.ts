import { forward, mantaHandlers } from './manta-handlers.ts'
import { mantaRules } from './manta-rules.ts'
import type { S3Refusal } from './s3-exchange.ts'
import type { S3Operation } from './s3-operation.ts'
import { type S3Proxy, S3ProxyServer } from './s3-proxy.ts'
import { type S3TestServer, s3Client } from './s3-server.ts'

/**
 * What Manta's S3 layer does otherwise than AWS, beside what `manta-rules.ts` refuses. By function of
 * `manta-handlers.ts` where no other file is named:
 *
 * | quirk | where |
 * |---|---|
 * | ETag of HEAD, GET and PUT without quotes, that of a listing with them | `plainEtag` |
 * | ETag of HEAD and GET is not always the MD5 that PUT answered, but a UUID | `plainEtag`, for half of the keys |
 * | checksums are neither stored nor returned | `withoutChecksums` |
 * | a wrong Content-MD5 is ContentMD5Mismatch | `inMantasWords` |
 * | DELETE of what is absent is 404 NoSuchKey | `deleteOne` |
 * | DeleteObjects reports what is absent as an Error | `deleteMany` |
 * | no StartAfter; continuation token = last name; groups are entries of size 0; Prefix and MaxKeys echo wrong | `manta-listing.ts` |
 * | ListMultipartUploads is always empty | `mantaHandlers` |
 * | parts contiguous from 1, each but the last at least 5 MiB, found out by Complete | `complete` |
 * | completing again is 404 NoSuchUpload | `complete` |
 * | If-None-Match with an ETag on an absent key is 404; with `*` it works | `upload` |
 * | 45 s without a byte of an upload's body cut the connection | `upload` |
 * | 507 NotEnoughSpace, of Create too | {@link MantaProxy.isFull} |
 * | path style only | the bucket is looked for in the path alone |
 *
 * More lenient than Manta in one thing: checksums in a request are compared, because the request must stay as it was
 * signed.
 */
export interface MantaProxy extends S3Proxy {
  /** Whether all space is taken: writes are refused as long as it is. */
  isFull: boolean
}

export interface MantaOptions {
  /** How long the body of an upload may say nothing; Manta's 45 s by default. */
  readonly idleMs?: number
  /** What is done with StartAfter; `ignore` by default, which is what a client does not notice. */
  readonly startAfter?: 'ignore' | 'refuse'
}

/** Puts Manta's manners in front of a real server. */
export async function startMantaProxy(server: S3TestServer, options: MantaOptions = {}): Promise<MantaProxy> {
  const client = s3Client(server)
  const { idleMs = 45_000, startAfter = 'ignore' } = options
  let isFull = false
  const handlers = mantaHandlers(client, idleMs)
  const proxy = await S3ProxyServer.start(server, async exchange => {
    const { request } = exchange
    for (const { refuses } of mantaRules) {
      const refusal = refuses(request)
      if (refusal) return await exchange.refuse(refusal)
    }
    if (startAfter === 'refuse' && request.query.has('start-after'))
      return await exchange.refuse(noStartAfter)
    if (isFull && writes.has(request.operation)) return await exchange.refuse(notEnoughSpace)
    const handle = handlers[request.operation] ?? (async () => exchange.answer(await forward(exchange)))
    await handle(exchange)
  })
  const stop = async (): Promise<void> => {
    await proxy.stop()
    client.destroy()
  }
  return {
    endpoint: proxy.endpoint,
    region: proxy.region,
    bucket: proxy.bucket,
    credentials: proxy.credentials,
    requests: () => proxy.requests(),
    countByOperation: () => proxy.countByOperation(),
    forgetRequests: () => proxy.forgetRequests(),
    get isFull() {
      return isFull
    },
    set isFull(full: boolean) {
      isFull = full
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const writes: ReadonlySet<S3Operation> = new Set([
  'PutObject',
  'UploadPart',
  'CreateMultipartUpload',
  'CopyObject',
])

const notEnoughSpace: S3Refusal = {
  status: 507,
  code: 'NotEnoughSpace',
  message: 'not enough free space for 5120 MB',
}
const noStartAfter: S3Refusal = {
  status: 400,
  code: 'InvalidArgument',
  message: 'start-after is not supported',
}
