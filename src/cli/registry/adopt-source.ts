import { DomainError } from '../../errors.ts'

/** Where another registry has its storage. */
export type AdoptSource =
  | { readonly kind: 'filesystem'; readonly directory: string }
  | {
      readonly kind: 's3'
      readonly bucket: string
      /** Empty for the whole bucket. */
      readonly directory: string
    }

/** Parses `filesystem:DIRECTORY` or `s3://BUCKET[/PREFIX]`. @throws DomainError `invalid`. */
export function parseAdoptSource(text: string): AdoptSource {
  const directory = /^filesystem:(.+)$/s.exec(text)?.[1]
  if (directory !== undefined) return { kind: 'filesystem', directory }
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9._-]+)(?:\/(.*))?$/s.exec(text) ?? []
  if (bucket !== undefined) return { kind: 's3', bucket, directory: prefix }
  throw new DomainError(
    'invalid',
    `--from ${JSON.stringify(text)} is no storage of a registry; write filesystem:DIRECTORY or s3://BUCKET/PREFIX.`,
    { resource: 'config', name: text },
  )
}

export function formatAdoptSource(source: AdoptSource): string {
  if (source.kind === 'filesystem') return `filesystem:${source.directory}`
  return `s3://${source.bucket}${source.directory === '' ? '' : `/${source.directory}`}`
}
