import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { CreateBucketCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import type { Pair } from './certificates.ts'
import { type ChildDaemon, type DaemonStart, daemonDirectory, startDaemon } from './child-daemon.ts'
import { onFreePort } from './free-port.ts'
import { ensureGoProgram, skipWithoutGo } from './go.ts'

/** Something that speaks S3 on 127.0.0.1, with a bucket of its own that is empty at first. */
export interface S3TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or `https://…`; path style. */
  readonly endpoint: string
  /** PEM file of the authority that has signed for it; undefined where it speaks no TLS. */
  readonly caFile?: string | undefined
  readonly region: string
  readonly bucket: string
  readonly credentials: S3TestCredentials
  /** Ends it and removes all that it stored. */
  stop(): Promise<void>
}

export interface S3TestCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface S3ServerOptions {
  /** It then speaks TLS, and nothing else. */
  readonly tls?: S3ServerTls | undefined
  /** Below this name buckets have names of their own, too: `BUCKET.DOMAIN`. */
  readonly domain?: string | undefined
}

export interface S3ServerTls extends Pair {
  /** PEM of the authority, by which the helper itself knows the server. */
  readonly ca: string
  /** Whether nobody can trust the certificate, so that the helper does not either. */
  readonly isUntrustworthy?: boolean | undefined
}

/** Real servers that have nothing in common but the protocol. */
export type S3ServerKind = 'versitygw' | 'minio'

export const s3ServerKinds: readonly S3ServerKind[] = ['versitygw', 'minio']

interface ServerProgram {
  readonly module: readonly [path: string, version: string]
  readonly command: (place: ServerPlace) => Pick<DaemonStart, 'args' | 'env'>
}

interface ServerPlace extends S3TestCredentials {
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly data: string
  /** For what it keeps beside the data. */
  readonly directory: string
  /** Whether files of this directory can have extended attributes. */
  readonly hasXattrs: boolean
  readonly domain: string | undefined
  /** Of `certificates/public.crt` and `private.key` in the directory. */
  readonly hasTls: boolean
}

/** First builds, measured on two cores: 67 s for versitygw, 174 s for MinIO. */
const programs: Readonly<Record<S3ServerKind, ServerProgram>> = {
  versitygw: {
    module: ['github.com/versity/versitygw/cmd/versitygw', 'v1.8.0'],
    command: ({ address, data, directory, hasXattrs, domain, hasTls, accessKeyId, secretAccessKey }) => ({
      args: [
        ...['--port', address, '--keep-alive', '--quiet'],
        ...(hasTls ? ['--cert', certificateIn(directory), '--key', keyIn(directory)] : []),
        ...(domain === undefined ? [] : ['--virtual-domain', domain]),
        'posix',
        ...(hasXattrs ? [] : ['--sidecar', join(directory, 'attributes')]),
        data,
      ],
      env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    }),
  },
  minio: {
    // Its releases carry tags that are no Go versions, hence the pseudo-version.
    module: ['github.com/minio/minio', 'v0.0.0-20260212201848-7aac2a2c5b7c'],
    command: ({ address, data, directory, domain, accessKeyId, secretAccessKey }) => ({
      args: ['server', '--quiet', '--address', address, '--certs-dir', join(directory, 'certificates'), data],
      env: {
        ...(domain === undefined ? {} : { MINIO_DOMAIN: domain }),
        HOME: directory,
        MINIO_ROOT_USER: accessKeyId,
        MINIO_ROOT_PASSWORD: secretAccessKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
    }),
  },
}

/** Where MinIO looks for them. */
const certificateIn = (directory: string): string => join(directory, 'certificates', 'public.crt')
const keyIn = (directory: string): string => join(directory, 'certificates', 'private.key')

/** For `skip` of a suite; builds the server when it is not there yet. */
export async function skipWithoutS3(kind: S3ServerKind): Promise<string | false> {
  return await skipWithoutGo(programs[kind].module)
}

export async function startS3Server(
  kind: S3ServerKind,
  options: S3ServerOptions = {},
): Promise<S3TestServer> {
  await ensureGoProgram(...programs[kind].module)
  return await onFreePort(async port => {
    try {
      return await startOn(port, kind, options, true)
    } catch (error) {
      // What versitygw says where temporary files are in memory and the kernel is older than 6.6.
      if (!String(error).includes('xattrs are not supported')) throw error
      return await startOn(port, kind, options, false)
    }
  })
}

async function startOn(
  port: number,
  kind: S3ServerKind,
  { tls, domain }: S3ServerOptions,
  hasXattrs: boolean,
): Promise<S3TestServer> {
  const { module, command } = programs[kind]
  const directory = await daemonDirectory(kind)
  const data = join(directory, 'data')
  await Promise.all([mkdir(data), mkdir(join(directory, 'attributes'))])
  const address = `127.0.0.1:${port}`
  const credentials = { accessKeyId: 'varve-test', secretAccessKey: randomBytes(20).toString('hex') }
  const caFile = tls === undefined ? undefined : await writeCertificates(directory, tls)
  const endpoint = `${tls === undefined ? 'http' : 'https'}://${address}`
  const access = { endpoint, caFile, region: 'us-east-1', bucket: 'varve-test', credentials }
  using client = new DisposableClient(access, tls?.isUntrustworthy)
  const daemon = await startDaemon(directory, {
    program: await ensureGoProgram(...module),
    ...command({ address, data, directory, hasXattrs, domain, hasTls: tls !== undefined, ...credentials }),
    ask: () => client.s3.send(new ListBucketsCommand({})),
  })
  await makeBucket(client.s3, access.bucket, daemon)
  const stop = (): Promise<void> => daemon.stop()
  return { ...access, stop, [Symbol.asyncDispose]: stop }
}

/** Answers the file of the authority's certificate. */
async function writeCertificates(directory: string, { cert, key, ca }: S3ServerTls): Promise<string> {
  const caFile = join(directory, 'ca.pem')
  await mkdir(join(directory, 'certificates'))
  await writeFile(certificateIn(directory), cert)
  await writeFile(keyIn(directory), key)
  await writeFile(caFile, ca)
  return caFile
}

async function makeBucket(client: S3Client, bucket: string, daemon: ChildDaemon): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  } catch (error) {
    await daemon.stop()
    throw error
  }
}

type S3Access = Pick<S3TestServer, 'endpoint' | 'caFile' | 'region' | 'credentials'>

/** A client that sends each request once and adds no checksum of its own. */
export function s3Client(
  { endpoint, caFile, region, credentials }: S3Access,
  isUntrustworthy = false,
): S3Client {
  const agent = caFile === undefined ? {} : { ca: readFileSync(caFile), rejectUnauthorized: !isUntrustworthy }
  return new S3Client({
    requestHandler: { httpsAgent: new Agent(agent) },
    endpoint,
    region,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

class DisposableClient implements Disposable {
  readonly s3: S3Client

  constructor(access: S3Access, isUntrustworthy?: boolean) {
    this.s3 = s3Client(access, isUntrustworthy)
  }

  [Symbol.dispose](): void {
    this.s3.destroy()
  }
}
