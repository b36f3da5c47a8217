import { createHash, createHmac } from 'node:crypto'
import type { S3TestServer } from './s3-server.ts'

/** What a role has for a while. */
export interface TemporaryCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiration: Date
}

/** Of MinIO: others each time, for a quarter of an hour, which is the least that it gives. */
export async function assumeRole({
  endpoint,
  region,
  credentials,
}: S3TestServer): Promise<TemporaryCredentials> {
  const body = 'Action=AssumeRole&Version=2011-06-15&DurationSeconds=900'
  const headers = signed(new URL(endpoint), region, credentials, body)
  const response = await fetch(endpoint, { method: 'POST', headers, body })
  const text = await response.text()
  const field = (name: string): string => {
    const value = new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)?.[1]
    if (value === undefined) throw new Error(`AssumeRole answered ${response.status} without ${name}`)
    return value
  }
  return {
    accessKeyId: field('AccessKeyId'),
    secretAccessKey: field('SecretAccessKey'),
    sessionToken: field('SessionToken'),
    expiration: new Date(field('Expiration')),
  }
}

/** Signature Version 4, of a POST to `/` (AWS General Reference, "Signing AWS API requests"). */
function signed(
  { host }: URL,
  region: string,
  { accessKeyId, secretAccessKey }: S3TestServer['credentials'],
  body: string,
): Record<string, string> {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = [time.slice(0, 8), region, 'sts', 'aws4_request']
  const type = 'application/x-www-form-urlencoded'
  const names = 'content-type;host;x-amz-date'
  const request = ['POST', '/', '', `content-type:${type}`, `host:${host}`, `x-amz-date:${time}`, '', names]
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), hash([...request, hash(body)].join('\n'))].join(
    '\n',
  )
  const key = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secretAccessKey}`)
  return {
    'content-type': type,
    'x-amz-date': time,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope.join('/')}, SignedHeaders=${names}, Signature=${hmac(key, text).toString('hex')}`,
  }
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
