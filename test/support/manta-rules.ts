import type { S3Refusal } from './s3-exchange.ts'
import type { S3Request } from './s3-operation.ts'

/** What a request is refused for, whatever is in the bucket. */
export interface MantaRule {
  readonly quirk: string
  readonly refuses: (request: S3Request) => S3Refusal | undefined | false
}

const mebibyte = 1024 * 1024
const maxKeyBytes = 1024
const maxMetadataBytes = 4096
const maxSinglePut = 5 * 1024 * mebibyte
const maxPartNumber = 10_000
const maxKeysLimit = 1024

/** All but its last one must have this. */
export const smallestPart = 5 * mebibyte

const notImplemented = (what: string): S3Refusal => ({
  status: 501,
  code: 'NotImplemented',
  message: `${what} is not implemented`,
})

const invalidArgument = (message: string): S3Refusal => ({ status: 400, code: 'InvalidArgument', message })

/** 422, as Manta says it of names; AWS would take them. */
export const invalidKey = (key: string): S3Refusal => ({
  status: 422,
  code: 'InvalidBucketObjectName',
  message: `${encodeURIComponent(key)} is not a valid bucket object name`,
})

/** Of what Manta stores as it came: nothing that has to be percent-encoded, no empty, `.` or `..` segment. */
export function isSafeKey(key: string): boolean {
  return (
    key.length <= maxKeyBytes &&
    /^[A-Za-z0-9._/-]+$/.test(key) &&
    key.split('/').every(segment => !['', '.', '..'].includes(segment))
  )
}

const isList = ({ operation }: S3Request): boolean =>
  operation === 'ListObjects' || operation === 'ListObjectsV2'
const isUpload = ({ operation }: S3Request): boolean =>
  operation === 'PutObject' || operation === 'UploadPart'

export const mantaRules: readonly MantaRule[] = [
  {
    quirk: 'no UploadPartCopy',
    refuses: ({ operation }) => operation === 'UploadPartCopy' && notImplemented('UploadPartCopy'),
  },
  {
    quirk:
      'no GetObjectAttributes, and none of versioning, lifecycle, policies, notifications, locks and the like',
    refuses: ({ operation }) =>
      (operation === 'GetObjectAttributes' || operation === 'Other') && notImplemented('this operation'),
  },
  {
    quirk: 'no presigned DELETE',
    refuses: ({ method, query }) =>
      method === 'DELETE' && query.has('X-Amz-Signature') && notImplemented('a presigned DELETE'),
  },
  {
    quirk: 'keys are stored percent-encoded and their segments tidied up, so only plain ones are taken here',
    refuses: ({ rawKey }) => rawKey !== '' && !isSafeKey(rawKey) && invalidKey(rawKey),
  },
  {
    quirk: 'If-Match is compared with something internal, so it never matches',
    refuses: ({ headers }) =>
      headers['if-match'] !== undefined && {
        status: 412,
        code: 'PreconditionFailed',
        message: 'if-match does not match the etag of the object',
      },
  },
  {
    quirk: 'a body has a length',
    refuses: request =>
      isUpload(request) &&
      request.headers['content-length'] === undefined && {
        status: 411,
        code: 'ContentLengthRequired',
        message: 'Content-Length must be &gt;= 0',
      },
  },
  {
    quirk: 'one PUT takes at most 5 GiB',
    refuses: request =>
      isUpload(request) &&
      Number(request.headers['content-length']) > maxSinglePut && {
        status: 413,
        code: 'MaxContentLengthExceeded',
        message: `request has exceeded ${maxSinglePut} bytes`,
      },
  },
  {
    quirk:
      'aws-chunked is decoded only when it is the whole Content-Encoding; else the chunks would be stored',
    refuses: ({ headers }) => {
      const encoding = headers['content-encoding'] ?? ''
      const isStreaming = String(headers['x-amz-content-sha256']).startsWith('STREAMING-')
      const isWrong = encoding.includes('aws-chunked') ? encoding !== 'aws-chunked' : isStreaming
      return isWrong && invalidArgument('chunks under another Content-Encoding than aws-chunked')
    },
  },
  {
    quirk: 'metadata of at most 4 KiB',
    refuses: ({ headers }) => {
      const own = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))
      const size = own.reduce((sum, [name, value]) => sum + name.length + String(value).length, 0)
      return (
        size > maxMetadataBytes && {
          status: 400,
          code: 'MetadataTooLarge',
          message: 'more than 4096 bytes of metadata',
        }
      )
    },
  },
  {
    quirk: 'parts are numbered 1 to 10000',
    refuses: ({ query }) => {
      const number = query.get('partNumber')
      return (
        number !== null &&
        !isBetween(number, 1, maxPartNumber) &&
        invalidArgument(`partNumber=${number} is invalid`)
      )
    },
  },
  {
    quirk: 'max-keys 1 to 1024; 0 is an error',
    refuses: request => {
      const limit = request.query.get('max-keys')
      return (
        isList(request) &&
        limit !== null &&
        !isBetween(limit, 1, maxKeysLimit) && {
          status: 400,
          code: 'InvalidArgumentError',
          message: `limit=${encodeURIComponent(limit)} is invalid: must be between [1, 1024]`,
        }
      )
    },
  },
  {
    quirk: 'no encoding-type',
    refuses: request =>
      (isList(request) || request.operation === 'ListMultipartUploads') &&
      request.query.has('encoding-type') &&
      invalidArgument('encoding-type is not supported'),
  },
  {
    quirk: 'a delimiter is one character',
    refuses: request =>
      isList(request) &&
      (request.query.get('delimiter')?.length ?? 0) > 1 &&
      invalidArgument('delimiter must be one character'),
  },
]

function isBetween(text: string, least: number, most: number): boolean {
  return /^\d{1,6}$/.test(text) && Number(text) >= least && Number(text) <= most
}
