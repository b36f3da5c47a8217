import { DomainError } from '../../errors.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { parseOwnImage } from '../trust-command.ts'

/** `acme/app:v1`; `latest` unless it says otherwise. @throws DomainError `invalid`. */
export function parseOwnTag(text: string): { readonly repository: RepositoryName; readonly tag: Tag } {
  const { repository, reference } = parseOwnImage(text)
  if (reference.kind === 'tag') return { repository, tag: reference.tag }
  throw wrong(text, 'a tag; write repository:tag, such as acme/app:v1')
}

/** `acme/app@sha256:…`. @throws DomainError `invalid`. */
export function parseOwnManifest(text: string): {
  readonly repository: RepositoryName
  readonly digest: Digest
} {
  const { repository, reference } = parseOwnImage(text)
  if (reference.kind === 'digest') return { repository, digest: reference.digest }
  throw wrong(text, 'a manifest; write repository@digest, such as acme/app@sha256:…')
}

function wrong(text: string, what: string): DomainError {
  return new DomainError('invalid', `${JSON.stringify(text.slice(0, 512))} does not name ${what}.`, {
    resource: 'image',
    name: text.slice(0, 512),
  })
}
