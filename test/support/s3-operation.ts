import type { IncomingHttpHeaders } from 'node:http'

/** Operations of the S3 API by the names that its reference has; what Varve has no use for is `Other`. */
export type S3Operation =
  | 'AbortMultipartUpload'
  | 'CompleteMultipartUpload'
  | 'CopyObject'
  | 'CreateBucket'
  | 'CreateMultipartUpload'
  | 'DeleteBucket'
  | 'DeleteObject'
  | 'DeleteObjects'
  | 'GetBucketLocation'
  | 'GetObject'
  | 'GetObjectAttributes'
  | 'HeadBucket'
  | 'HeadObject'
  | 'ListBuckets'
  | 'ListMultipartUploads'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListParts'
  | 'Other'
  | 'PutObject'
  | 'UploadPart'
  | 'UploadPartCopy'

/** A request in path style, taken apart. */
export interface S3Request {
  readonly method: string
  readonly operation: S3Operation
  readonly bucket: string
  /** Decoded; empty when the request is about the bucket. */
  readonly key: string
  /** The key as it was sent. */
  readonly rawKey: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
}

export function parseS3Request(method: string, target: string, headers: IncomingHttpHeaders): S3Request {
  const [path = '', search = ''] = target.split('?', 2)
  const [, bucket = '', rawKey = ''] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? []
  const query = new URLSearchParams(search)
  const operation =
    rawKey !== ''
      ? objectOperation(method, query, headers)
      : bucket !== ''
        ? bucketOperation(method, query)
        : method === 'GET'
          ? 'ListBuckets'
          : 'Other'
  return { method, operation, bucket, key: decodeURIComponent(rawKey), rawKey, query, headers }
}

/** The part of a resource that a query names in place of the whole; `x-id` only repeats the operation. */
const subresources: readonly string[] = [
  ...[
    'accelerate',
    'acl',
    'analytics',
    'attributes',
    'cors',
    'delete',
    'encryption',
    'inventory',
    'legal-hold',
  ],
  ...[
    'lifecycle',
    'location',
    'logging',
    'metrics',
    'notification',
    'object-lock',
    'ownershipControls',
    'policy',
  ],
  ...['policyStatus', 'publicAccessBlock', 'replication', 'requestPayment', 'restore', 'retention', 'select'],
  ...['tagging', 'torrent', 'uploadId', 'uploads', 'versioning', 'versions', 'website'],
]

function objectOperation(method: string, query: URLSearchParams, headers: IncomingHttpHeaders): S3Operation {
  const copies = headers['x-amz-copy-source'] !== undefined
  switch (`${method} ${subresources.find(name => query.has(name)) ?? ''}`.trimEnd()) {
    case 'GET':
      return 'GetObject'
    case 'HEAD':
      return 'HeadObject'
    case 'PUT':
      return copies ? 'CopyObject' : 'PutObject'
    case 'DELETE':
      return 'DeleteObject'
    case 'GET attributes':
      return 'GetObjectAttributes'
    case 'POST uploads':
      return 'CreateMultipartUpload'
    case 'PUT uploadId':
      return copies ? 'UploadPartCopy' : 'UploadPart'
    case 'GET uploadId':
      return 'ListParts'
    case 'POST uploadId':
      return 'CompleteMultipartUpload'
    case 'DELETE uploadId':
      return 'AbortMultipartUpload'
    default:
      return 'Other'
  }
}

function bucketOperation(method: string, query: URLSearchParams): S3Operation {
  switch (`${method} ${subresources.find(name => query.has(name)) ?? ''}`.trimEnd()) {
    case 'GET':
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects'
    case 'HEAD':
      return 'HeadBucket'
    case 'PUT':
      return 'CreateBucket'
    case 'DELETE':
      return 'DeleteBucket'
    case 'POST delete':
      return 'DeleteObjects'
    case 'GET uploads':
      return 'ListMultipartUploads'
    case 'GET location':
      return 'GetBucketLocation'
    default:
      return 'Other'
  }
}
