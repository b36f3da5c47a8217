import { DomainError } from '../../errors.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { parseOwnImage } from '../trust-command.ts'

/** `acme/app:v1`. Nothing stands for `latest` here: what deletes must not mean a tag that nobody has written. @throws DomainError `invalid`. */
export function parseOwnTag(text: string): { readonly repository: RepositoryName; readonly tag: Tag } {
  const { repository, reference } = parseOwnImage(text)
  if (reference.kind === 'tag' && text.includes(':')) return { repository, tag: reference.tag }
  throw wrong(text, 'tag', 'a tag; write repository:tag, such as acme/app:v1')
}

/** `acme/app@sha256:…`. @throws DomainError `invalid`. */
export function parseOwnManifest(text: string): {
  readonly repository: RepositoryName
  readonly digest: Digest
} {
  const { repository, reference } = parseOwnImage(text)
  if (reference.kind === 'digest') return { repository, digest: reference.digest }
  throw wrong(text, 'digest', 'a manifest; write repository@digest, such as acme/app@sha256:…')
}

function wrong(text: string, resource: 'tag' | 'digest', what: string): DomainError {
  return new DomainError('invalid', `${JSON.stringify(text.slice(0, 512))} does not name ${what}.`, {
    resource,
    name: text.slice(0, 512),
  })
}
